# What single training rows do.

#' What single rows of the fit do
#'
#' The posterior without each of its rows: what it says of the row itself, the row's leave-one-out score, and by how
#' much the outputs of other rows would change. For structures `"full"`, `"blockdiag"` and `"functional"` (of all rows)
#' that follows in closed form; `"kron"` and `"diag"` forget each row in turn. Not for posteriors that answer by a
#' linear model (no option set).
#'
#' @param model a fitted `laplace` object.
#' @param x rows of the fit: features as in [predict.laplace()]; without them those that the object holds.
#' @param y their responses; taken from `x` for fits by formula.
#' @param at other rows, whose outputs are looked at.
#' @param weights how often each row counted in the fit, all of which is left out; once by default.
#' @param ... nothing more.
#' @return A list: `mean` and `variance`, the outputs of each row by the posterior without it (a column for each
#'   output); `loss`, its loss there, the leave-one-out score; `change`, an array of the rows `at`, outputs and rows of
#'   the fit; `NULL` without `at`.
#' @importFrom stats influence
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(Species ~ ., iris, size = 4, decay = 0.01, trace = FALSE)
#' la <- laplace(Species ~ ., iris, model = fit, structure = "kron", prior_precision = 1)
#' head(order(influence(la)$loss, decreasing = TRUE))
#' \dontshow{close(laplace_server())}
influence.laplace <- function(model, x, y, at = NULL, weights = NULL, ...) {
  check_no_more(...)
  rows <- if (missing(x)) training_labels(model) else labelled_rows(model, x, y, "influence(model, x, y)")
  params <- list(x = as_wire_examples(rows$x), y = as_wire_array(rows$y))
  if (!is.null(at)) params$at <- as_wire_examples(complete_features(model, at))
  if (!is.null(weights)) params$sampleWeight <- as_wire_array(as.double(weights))
  answer <- ask(model, "influence", params)
  list(mean = answer$mean, variance = answer$variance, loss = as.vector(answer$loss), change = answer$change)
}
