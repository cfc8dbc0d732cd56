# Finds Node.js and the bundled server.

MINIMUM_NODE <- "20.19.0"

REMEDY <- paste0(
  "Install it from https://nodejs.org (version 20.19 or newer), or set the environment variable POLYLAPLACE_NODE ",
  "(or options(polylaplace.node = )) to its path."
)

#' What the package remembers within a session.
#' @noRd
the <- new.env(parent = emptyenv())

stop_no_node <- function(message) {
  laplace_stop(paste(message, REMEDY), "MISSING_DEPENDENCY", class = "laplace_error_no_node")
}

#' The bundled server.
#' @noRd
server_file <- function() {
  path <- getOption("polylaplace.server", system.file("node", "polylaplace.mjs", package = "polylaplace"))
  if (!nzchar(path) || !file.exists(path)) {
    laplace_stop(
      paste0(
        "The package is incomplete: its server (inst/node/polylaplace.mjs) is missing. Run `npm run build` in the ",
        "repository and install it again."
      ),
      "MISSING_DEPENDENCY"
    )
  }
  normalizePath(path)
}

#' Where node may be: a list of (where, path), the first that counts first.
#' @noRd
node_candidates <- function() {
  named <- getOption("polylaplace.node", Sys.getenv("POLYLAPLACE_NODE"))
  if (nzchar(named)) return(list(list(where = "POLYLAPLACE_NODE", path = named)))
  found <- c(PATH = on_path("node"), usual_places())
  found <- found[nzchar(found) & file.exists(found)]
  lapply(which(!duplicated(found)), function(index) list(where = names(found)[index], path = found[[index]]))
}

#' Where the shell would find a program, "" when it would not. Sys.which() starts one to find out.
#' @noRd
on_path <- function(name) {
  if (is_windows()) return(unname(Sys.which(name)))
  paths <- file.path(strsplit(Sys.getenv("PATH"), ":", fixed = TRUE)[[1]], name)
  c(paths[file.access(paths, 1) == 0 & !dir.exists(paths)], "")[1]
}

#' Programs started from a desktop often do not have the PATH of a terminal.
#' @noRd
usual_places <- function() {
  fixed <- if (is_windows()) {
    file.path(Sys.getenv(c("ProgramFiles", "LOCALAPPDATA")), c("nodejs/node.exe", "Programs/nodejs/node.exe"))
  } else {
    c("/usr/local/bin/node", "/opt/homebrew/bin/node")
  }
  managed <- Sys.glob(
    path.expand(c("~/.nvm/versions/node/*/bin/node", "~/.local/share/fnm/node-versions/*/installation/bin/node"))
  )
  c(
    stats::setNames(fixed, rep("the usual places", length(fixed))),
    stats::setNames(rev(managed), rep("a version manager", length(managed)))
  )
}

is_windows <- function() .Platform$OS.type == "windows"

#' Seconds until a node must have said its version.
#' @noRd
NODE_PATIENCE <- 3

#' What a program says when it is asked for its version: list(version, problem), each NULL where there is none.
#' @noRd
examine_node <- function(path, patience = NODE_PATIENCE) {
  if (!file.exists(path)) return(list(problem = sprintf("'%s' is not there.", path)))
  if (file.access(path, 1) != 0 || dir.exists(path)) return(list(problem = sprintf("'%s' may not be run.", path)))
  seconds <- max(1, ceiling(min(patience, NODE_PATIENCE)))
  # A node of another version may refuse options meant for this one.
  shown <- tryCatch(
    suppressWarnings(
      with_environment(
        c(NODE_OPTIONS = NA), system2(path, "--version", stdout = TRUE, stderr = TRUE, timeout = seconds)
      )
    ),
    error = function(condition) structure(conditionMessage(condition), status = 127L)
  )
  status <- attr(shown, "status")
  lines <- trimws(as.character(shown))
  lines <- lines[nzchar(lines)]
  printed <- if (length(lines) > 0) {
    sprintf(" It printed: '%s'.", substr(paste(lines, collapse = " / "), 1, 300))
  } else {
    " It printed nothing."
  }
  if (identical(as.integer(status), 124L)) {
    return(list(problem = sprintf("'%s --version' did not end within %d s.%s", path, seconds, printed)))
  }
  version <- grep("^v[0-9]+\\.[0-9]+\\.[0-9]+", lines, value = TRUE)
  if (length(version) == 0) {
    code <- if (is.null(status)) 0L else as.integer(status)
    return(list(problem = sprintf("'%s' does not run as Node.js: it ended with exit code %d.%s", path, code, printed)))
  }
  version <- numeric_version(sub("^v([0-9]+\\.[0-9]+\\.[0-9]+).*", "\\1", version[length(version)]))
  if (version < MINIMUM_NODE) {
    return(list(version = version, problem = sprintf("Node.js %s at '%s' is too old.", version, path)))
  }
  list(version = version, banner = if (length(lines) > 1) printed)
}

#' Evaluates with environment variables set, or unset where NA.
#' @noRd
with_environment <- function(variables, code) {
  old <- Sys.getenv(names(variables), unset = NA, names = TRUE)
  on.exit(set_environment(old))
  set_environment(variables)
  code
}

set_environment <- function(variables) {
  Sys.unsetenv(names(variables)[is.na(variables)])
  if (any(!is.na(variables))) do.call(Sys.setenv, as.list(variables[!is.na(variables)]))
}

#' A sentence when this node cannot be used, NULL when it can.
#' @noRd
explain_node <- function(path, patience = NODE_PATIENCE) examine_node(path, patience)$problem

#' The absolute path of a node that is new enough; found once in a session.
#' @noRd
find_node <- function() {
  key <- paste(getOption("polylaplace.node", ""), Sys.getenv("POLYLAPLACE_NODE"), Sys.getenv("PATH"), sep = "\n")
  if (!identical(the$node_key, key)) {
    the$node <- search_node()
    the$node_key <- key
  }
  the$node
}

#' The node to start when there is no choice; find_node() otherwise.
#' @noRd
likely_node <- function() {
  found <- node_candidates()
  path <- if (length(found) == 1) found[[1]]$path
  if (!is.null(path) && file.access(path, 1) == 0) normalizePath(path) else find_node()
}

search_node <- function(found = node_candidates()) {
  if (length(found) == 0) stop_no_node("polylaplace needs Node.js, and there is none on this machine.")
  problem <- NULL
  for (candidate in found) {
    path <- unname(Sys.which(candidate$path))
    if (!nzchar(path)) stop_no_node(sprintf("There is no program '%s' (from %s).", candidate$path, candidate$where))
    explained <- explain_node(path)
    if (is.null(explained)) return(normalizePath(path))
    if (is.null(problem)) problem <- explained
  }
  stop_no_node(problem)
}

#' Can this session use polylaplace?
#'
#' Examples and documents use this to do nothing where there is no Node.js.
#' [doctor()] says what is missing.
#'
#' @return `TRUE` when a Node.js that is new enough and the bundled server are found, otherwise `FALSE`.
#' @export
#' @examples
#' laplace_available()
laplace_available <- function() {
  tryCatch(
    {
      find_node()
      server_file()
      TRUE
    },
    laplace_error = function(condition) FALSE
  )
}
