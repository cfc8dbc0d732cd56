# Rows with their true responses, for scores and for calibration.

#' Complete rows with their responses: list(x, y), where y is as the server takes it.
#' @param y the responses; taken from `newdata` for fits by formula when missing.
#' @param usage how the function is called with responses, for the message when there are none.
#' @noRd
labelled_rows <- function(object, newdata, y, usage) {
  rows <- new_features(object, newdata, stats::na.pass)
  if (missing(y)) y <- response_of(object, newdata, usage)
  check_same_rows(rows$x, y)
  truth <- as_response(y, object$likelihood, object$levels)$y
  complete <- rows$keep & complete_rows(truth)
  if (!any(complete)) laplace_stop("There is no row without missing values.", "EMPTY_DATA")
  list(x = rows_of(rows$x, complete), y = rows_of(truth, complete), complete = complete)
}

#' The rows of the fit with their responses.
#' @noRd
training_labels <- function(object) {
  rows <- training_rows(object)
  list(x = rows$x, y = as_response(object$y, object$likelihood, object$levels)$y)
}

#' The responses among new data of a fit by formula, missing values included.
#' @noRd
response_of <- function(object, newdata, usage) {
  if (is.null(object$terms)) laplace_stop(sprintf("Give the true responses: %s.", usage), "BAD_OPTION")
  frame <- tryCatch(
    stats::model.frame(object$terms, newdata, na.action = stats::na.pass, xlev = object$xlevels),
    error = function(condition) {
      laplace_stop(
        sprintf("`newdata` does not hold what the formula needs (%s): %s.", conditionMessage(condition), usage),
        "SHAPE_MISMATCH"
      )
    }
  )
  stats::model.response(frame)
}
