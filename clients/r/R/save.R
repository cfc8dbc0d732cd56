# Posteriors as files.

#' Posteriors in files
#'
#' The file is the same in Node, Python and R: a posterior that was fitted in one of them is used in another, with the
#' names of columns and classes. Within R, [saveRDS()] keeps more: the formula and the training data.
#'
#' @param object a fitted `laplace` object.
#' @param path of the file.
#' @param network whether to keep the network in the file.
#' @param levels class names, where the file holds none.
#' @param model the network (path, bytes, `nnet` object) of a file that was saved without it.
#' @return `save_laplace()` returns `path`, invisibly. Where the file cannot be written whole, it stops with a
#'   `laplace_error_resource`, and what was there before is unchanged. `load_laplace()` returns an
#'   object of class `laplace` without training data.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' path <- save_laplace(laplace(fit), tempfile(fileext = ".posterior"))
#' predict(load_laplace(path), 0.3)
#' \dontshow{close(laplace_server())}
save_laplace <- function(object, path, network = TRUE) {
  check_flag(network, "network")
  check_that(is.character(path) && length(path) == 1 && !is.na(path), "path", "the path of a file")
  params <- list(network = network)
  # Those of several outputs (multilabel) are names of columns.
  if (length(object$levels) > 1) params$labels <- as.list(object$levels)
  data <- ask(object, "save", params)$data
  write_whole(data, path)
  invisible(path)
}

#' Writes a file whole or not at all: beside its place, read again, and renamed. R reports neither a full disk nor a
#' quota while it writes.
#' @noRd
write_whole <- function(data, path) {
  path <- path.expand(path)
  target <- if (file.exists(path)) normalizePath(path) else path
  # Pipes and devices cannot be renamed to, and have nothing to lose.
  if (file.exists(target) && !utils::file_test("-f", target)) return(writeBin(data, target))
  beside <- tempfile(paste0(".", basename(target), "."), dirname(target))
  on.exit(unlink(beside))
  problem <- tryCatch(
    {
      suppressWarnings(writeBin(data, beside))
      sync_file(beside)
      if (!identical(readBin(beside, raw(), length(data) + 1), data)) "the disk is full, or a quota is used up"
    },
    error = conditionMessage
  )
  if (is.null(problem)) {
    if (file.exists(target)) Sys.chmod(beside, file.mode(target), use_umask = FALSE)
    if (!suppressWarnings(file.rename(beside, target))) problem <- "the file could not be renamed"
  }
  if (is.null(problem)) return(invisible())
  laplace_stop(
    sprintf("Cannot write %s: %s. What was there before is unchanged.", path, problem), "NOT_WRITTEN",
    list(path = path)
  )
}

#' Has a file written to the disk, where the system has a program for it: R itself does not offer it.
#' @noRd
sync_file <- function(path) {
  sync <- Sys.which("sync")
  if (nzchar(sync)) suppressWarnings(system2(sync, shQuote(path), stdout = FALSE, stderr = FALSE))
}

#' @rdname save_laplace
#' @export
load_laplace <- function(path, model = NULL, levels = NULL) {
  check_that(
    is.null(levels) || is.character(levels) && !anyNA(levels), "levels", "the names of the classes"
  )
  server <- laplace_server()
  blob <- if (is.raw(path)) path else read_bytes(path)
  params <- list(data = blob)
  if (!is.null(model)) {
    network <- make_remote(server, "readNetwork", network_params(model))
    params$model <- network$handle
  }
  answer <- make_remote(server, "load", params)
  # Without its network the blob alone could not be loaded again.
  if (!is.null(model)) blob <- request(server, "save", list(posterior = answer$handle))$data
  if (is.null(levels)) levels <- unlist(answer$labels)
  call <- list(call = match.call(), levels = levels, features = known_columns(answer$summary))
  new_laplace(call, answer$summary, blob, answer$remote)
}

#' The names of the columns of the only input, which the file holds; NULL where there are none.
#' @noRd
known_columns <- function(summary) {
  inputs <- summary$inputs
  if (length(inputs) == 1) unlist(inputs[[1]]$columns)
}
