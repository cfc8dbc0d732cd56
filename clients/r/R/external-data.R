# The files beside a model's file that hold its weights, read from its own folder alone.

#' Bytes of all files together, 8 GiB.
#' @noRd
MOST_EXTERNAL_BYTES <- 2^33

#' The bytes by name of the files that a model's file names; NULL when there are none.
#' @param given `external_data`: a folder, or a named list of raw vectors; NULL: what lies beside the path.
#' @noRd
external_files <- function(object, given) {
  if (is.list(given)) return(given)
  path <- if (is.character(object) && length(object) == 1 && !is.na(object)) path.expand(object)
  folder <- if (!is.null(given)) path.expand(given) else if (!is.null(path)) dirname(path)
  if (is.null(folder) || is.null(path) && !is.raw(object)) return(NULL)
  bytes <- if (is.null(path)) object else read_bytes(path)
  marks <- vapply(c("location", "weight_map"), function(mark) length(grepRaw(mark, bytes, fixed = TRUE)) > 0, NA)
  if (!any(marks)) return(NULL)
  # What is wrong with the file is said when it is read.
  names <- tryCatch(
    unlist(request(laplace_server(), "filesBeside", list(bytes = bytes))$names),
    laplace_error = function(condition) {
      damaged <- inherits(condition, "laplace_error_untrusted_input") && condition$code != "UNSUPPORTED_FORMAT"
      if (damaged) stop(condition)
      NULL
    }
  )
  left <- MOST_EXTERNAL_BYTES
  files <- list()
  for (name in names) {
    files[[name]] <- read_below(folder, name, left)
    left <- left - length(files[[name]])
  }
  if (length(files) > 0) files
}

#' A file below a folder that no link leads to.
#' @noRd
read_below <- function(folder, name, left) {
  refuse <- function(problem) {
    laplace_stop(sprintf("The file '%s' with weights of the network %s.", name, problem), "UNTRUSTED_INPUT")
  }
  root <- normalizePath(folder, winslash = "/", mustWork = FALSE)
  plain <- paste0(root, "/", name)
  size <- file.size(plain)
  if (is.na(size) || dir.exists(plain)) refuse(sprintf("is not in the folder of the model, %s", root))
  if (normalizePath(plain, winslash = "/") != plain) {
    refuse("is reached through a symbolic link; give the folder that it lies in, or its bytes, as external_data")
  }
  if (size > left) refuse(sprintf("has %.0f bytes; %.0f are allowed", size, left))
  # Opening a named pipe or a device, which have no size, would wait for it.
  if (size == 0) raw() else readBin(plain, "raw", size)
}
