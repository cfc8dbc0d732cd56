# A posterior as a plain ONNX model.

#' A posterior as a plain ONNX model
#'
#' Writes a file that gives the predictions of a posterior in any ONNX runtime, in the browser or a database, with none
#' of this package's code: from the network's inputs to the outputs that are asked for, by standard operators alone.
#'
#' @param object a fitted `laplace` object.
#' @param path of the file.
#' @param outputs names among `"mean"`, `"variance"`, `"covariance"`, `"probabilities"`, `"aleatoric"`, `"epistemic"`,
#'   `"predictive_mean"`, `"predictive_variance"`, `"predictive_covariance"`, `"lower"`, `"upper"`, `"sets"`,
#'   `"novelty"` and `"novelty_score"`. `NULL`: what the posterior has without draws.
#' @param opset the operator set, 13 to 24. `NULL`: the oldest from 17 on that can hold the network.
#' @param dtype `"float32"` or `"float64"`, of the file's inputs and outputs. `NULL`: that of the fit.
#' @param link how probabilities come from the outputs. `NULL`: the posterior's own answer.
#' @param level of intervals and sets.
#' @param samples,seed of draws (link `"mc"`, aleatoric, epistemic), which are kept in the file.
#' @param card whether to write a model card in Markdown beside the model.
#' @param mlflow whether to write a folder that MLflow loads beside the model.
#' @param x,y rows that neither the network nor the posterior has seen: the card then says how good the model is.
#' @param ... not used.
#' @return `path`, invisibly. Where something cannot be written, it stops with a `laplace_error` that says what to do.
#'   The columns of the file's input are those of the network; factor levels are in the metadata `polylaplace.labels`.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(Species ~ ., iris, size = 3, trace = FALSE)
#' to_onnx(laplace(fit), tempfile(fileext = ".onnx"), outputs = c("probabilities", "novelty"))
#' \dontshow{close(laplace_server())}
to_onnx <- function(object, ...) UseMethod("to_onnx")

#' @rdname to_onnx
#' @export
to_onnx.laplace <- function(object, path, outputs = NULL, opset = NULL, dtype = NULL, link = NULL, level = NULL,
                            samples = NULL, seed = NULL, card = FALSE, mlflow = FALSE, x, y, ...) {
  check_no_more(...)
  if (missing(path)) laplace_stop("Give the path of the file: to_onnx(object, path).", "BAD_OPTION")
  given <- list(
    outputs = if (!is.null(outputs)) as.list(outputs), opset = opset, dtype = dtype, link = link, level = level,
    samples = samples, seed = seed, labels = if (!is.null(object$levels)) as.list(object$levels)
  )
  check_text(path, "path")
  check_flag(card, "card")
  check_flag(mlflow, "mlflow")
  path <- path.expand(path)
  stem <- sub("\\.onnx$", "", basename(path), ignore.case = TRUE)
  params <- list(
    options = as_map(given[!vapply(given, is.null, NA)]), stem = stem, card = card, mlflow = mlflow
  )
  if (!missing(x)) {
    if (!card && !mlflow) {
      laplace_stop("`x` and `y` are for the model card; give `card = TRUE` or `mlflow = TRUE`.", "BAD_COMBINATION")
    }
    rows <- labelled_rows(object, x, y, "to_onnx(object, path, x = x, y = y)")
    params <- c(params, list(x = as_wire_examples(rows$x), y = as_wire_array(rows$y)))
  }
  files <- ask(object, "toOnnx", params)$files
  for (name in names(files)) {
    beside <- if (identical(name, paste0(stem, ".onnx"))) path else file.path(dirname(path), name)
    if (!dir.exists(dirname(beside)) && dirname(name) != ".") dir.create(dirname(beside), recursive = TRUE)
    write_whole(files[[name]], beside)
  }
  invisible(path)
}
