# How good predictions are.

#' Measures of the quality of predictions
#'
#' @param object a fitted `laplace` object.
#' @param newdata data to predict; the training data when it is left out.
#' @param y the true responses for `newdata`; taken from it for fits by formula.
#' @param ... passed to [predict.laplace()], such as `link`.
#' @return A named vector: `nll` (negative log likelihood of the predictions), and `accuracy`, `ece` (expected
#'   calibration error), `brier`, or of numbers `rmse`, `crps`, `coverage` (of central 95 % intervals), `sharpness`
#'   (mean standard deviation) and, of counts, `deviance`.
#' @seealso [compare()] for network, temperature scaling and posterior side by side.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' train <- sample(150, 100)
#' fit <- nnet::nnet(Species ~ ., iris[train, ], size = 4, trace = FALSE)
#' laplace_metrics(laplace(fit), iris[-train, ])
#' \dontshow{close(laplace_server())}
laplace_metrics <- function(object, newdata, y, ...) {
  check_no_more(..., allowed = c("link", "predictive", "n_samples", "seed", "timeout", "progress"))
  how <- list(...)
  how$samples <- how$n_samples
  rows <- if (missing(newdata)) training_labels(object) else labelled_rows(object, newdata, y, METRICS_USAGE)
  answer <- predicted(object, rows$x, how)
  sigma <- unname(object$sigma_noise)
  params <- list(
    likelihood = object$likelihood, y = as_wire_array(rows$y),
    sigmaNoise = if (length(sigma) > 1) as_wire_array(sigma) else sigma
  )
  for (name in intersect(c("mean", "variance", "probabilities"), names(answer))) {
    params[[name]] <- as_wire_array(answer[[name]])
  }
  result <- request(laplace_server(), "metrics", params[!vapply(params, is.null, NA)])
  unlist(result[vapply(result, function(value) is.numeric(value) && length(value) == 1, NA)])
}

METRICS_USAGE <- "laplace_metrics(object, newdata, y)"
