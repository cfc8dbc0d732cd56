# Posteriors as files.

#' Posteriors in files
#'
#' The file is the same in Node, Python and R: a posterior that was fitted in one of them is used in another. Within R,
#' [saveRDS()] keeps more: factor levels, the formula and the training data.
#'
#' @param object a fitted `laplace` object.
#' @param path of the file.
#' @param network whether to keep the network in the file.
#' @param levels class names, which the file does not hold.
#' @param model the network (path, bytes, `nnet` object) of a file that was saved without it.
#' @return `save_laplace()` returns `path`, invisibly; `load_laplace()` an object of class `laplace` without training
#'   data.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' path <- save_laplace(laplace(fit), tempfile(fileext = ".posterior"))
#' predict(load_laplace(path), 0.3)
save_laplace <- function(object, path, network = TRUE) {
  data <- if (network) object$blob else ask(object, "save", list(network = FALSE))$data
  writeBin(data, path)
  invisible(path)
}

#' @rdname save_laplace
#' @export
load_laplace <- function(path, model = NULL, levels = NULL) {
  server <- laplace_server()
  blob <- if (is.raw(path)) path else read_bytes(path)
  params <- list(data = blob)
  if (!is.null(model)) params$model <- request(server, "readNetwork", network_params(model))$handle
  answer <- request(server, "load", params)
  # Without its network the blob alone could not be loaded again.
  if (!is.null(model)) blob <- request(server, "save", list(posterior = answer$handle))$data
  new_laplace(list(call = match.call(), levels = levels), answer$summary, blob, new_remote(server, answer$handle))
}
