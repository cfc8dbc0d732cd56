# More rows, and fewer: data that come piece by piece, and data that are taken back.

#' More rows for a posterior, or fewer
#'
#' `add_rows()` gives the posterior of the data and of further rows, `forget()` the posterior without some of its rows
#' (unlearning), both under the same prior: sums over the rows are added and subtracted. The network stays as it is,
#' with what it has learnt from the rows.
#'
#' That is for posteriors whose curvature is a sum over the rows, structures `"kron"`, `"full"`, `"diag"` and
#' `"blockdiag"`, and whose prior does not come from them: `prior_precision` given, or `tune` `"marglik"` or `"grid"`.
#'
#' @param object a fitted `laplace` object.
#' @param x rows: features as in [predict.laplace()]. To be forgotten, as they were fitted.
#' @param y their responses; taken from `x` for fits by formula.
#' @param weights how often each row counts; once by default.
#' @return A new `laplace` object, which does not hold the training data; the given one stays as it is.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(Species ~ ., iris, size = 4, decay = 0.01, trace = FALSE)
#' la <- laplace(Species ~ ., iris[1:120, ], model = fit, structure = "kron", prior_precision = 1)
#' more <- add_rows(la, iris[121:150, ])
#' forget(more, iris[121:150, ])
#' \dontshow{close(laplace_server())}
add_rows <- function(object, x, y, weights = NULL) {
  changed_rows(object, "addRows", x, y, weights, "add_rows(object, x, y)")
}

#' @rdname add_rows
#' @export
forget <- function(object, x, y, weights = NULL) {
  changed_rows(object, "forget", x, y, weights, "forget(object, x, y)")
}

#' A new object of other rows, without those of the fit, which are not all of them any more.
#' @noRd
changed_rows <- function(object, method, x, y, weights, usage) {
  rows <- labelled_rows(object, x, y, usage)
  params <- list(x = as_wire_examples(rows$x), y = as_wire_array(rows$y))
  weights <- as_weights(weights, length(rows$complete))
  if (!is.null(weights)) {
    weights$sampleWeight <- as_wire_array(from_wire_array(weights$sampleWeight)[rows$complete])
  }
  result <- recalibrated(object, method, c(params, weights))
  result[c("x", "y", "frame")] <- NULL
  result
}
