# How good predictions are.

#' Measures of the quality of predictions
#'
#' @param object a fitted `laplace` object.
#' @param newdata data to predict; the training data when it is left out.
#' @param y the true responses for `newdata`; taken from it for fits by formula.
#' @param ... passed to [predict.laplace()], such as `link`.
#' @return A named vector: `nll` (negative log likelihood of the predictions), and `accuracy`, `ece` (expected
#'   calibration error), `brier`, or `rmse`, `crps`.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' train <- sample(150, 100)
#' fit <- nnet::nnet(Species ~ ., iris[train, ], size = 4, trace = FALSE)
#' laplace_metrics(laplace(fit), iris[-train, ])
laplace_metrics <- function(object, newdata, y, ...) {
  rows <- if (missing(newdata)) training_rows(object) else new_features(object, newdata, stats::na.omit)
  if (missing(y)) y <- if (missing(newdata)) object$y else response_of(object, newdata, rows)
  truth <- as_response(y, object$likelihood, object$levels)$y
  how <- utils::modifyList(list(link = "probit", predictive = "glm"), list(...))
  answer <- predicted(object, rows$x, how)
  params <- list(likelihood = object$likelihood, y = as_wire_array(truth), sigmaNoise = object$sigma_noise)
  for (name in intersect(c("mean", "variance", "probabilities"), names(answer))) {
    params[[name]] <- as_wire_array(answer[[name]])
  }
  result <- request(laplace_server(), "metrics", params[!vapply(params, is.null, NA)])
  unlist(result[vapply(result, function(value) is.numeric(value) && length(value) == 1, NA)])
}

response_of <- function(object, newdata, rows) {
  if (is.null(object$terms)) laplace_stop("Give the true responses: laplace_metrics(object, newdata, y).", "BAD_OPTION")
  frame <- stats::model.frame(object$terms, newdata, na.action = stats::na.omit, xlev = object$xlevels)
  stats::model.response(frame)
}
