# Intervals and sets of classes with a guarantee.

#' Intervals and sets of classes that cover as often as they say
#'
#' Calibrates a posterior by rows that neither the training of the network nor the fit has seen (split conformal
#' prediction). Afterwards `predict(object, newdata, type = "pred_int", level = )` (regression) gives intervals, and
#' `type = "set"` (classes) sets of classes, that hold the truth of new rows with at least the probability `level`,
#' whatever the network is worth, as long as the new rows come from where the held-out ones came from.
#'
#' Without `x` and `y` the training rows are used, each predicted without itself (the jackknife). That is approximate:
#' the network itself has seen them. It needs a fit with `tune = "auto"`, the default.
#'
#' @param object a fitted `laplace` object, or a [mixture()].
#' @param x held-out rows: features as in [predict.laplace()].
#' @param y their responses; taken from `x` for fits by formula.
#' @param score for classes: `"aps"` (adaptive sets, larger where rows are hard; the default) or `"lac"` (the smallest
#'   on average).
#' @param randomised for `"aps"`: whether to count a random part of the true class's probability, which makes sets
#'   smaller.
#' @param seed of that randomness; taken from R's random numbers when not given.
#' @param ... not used.
#' @return A new `laplace` object; the given one stays as it is. Its element `conformal` says how it was calibrated
#'   (`kind`, `score`, `rows`). It is kept by [saveRDS()] and [save_laplace()].
#' @references Vovk, Gammerman and Shafer (2005) Algorithmic Learning in a Random World. Springer. Romano, Sesia and
#'   Candes (2020) Classification with Valid and Adaptive Coverage. NeurIPS 33.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' train <- sample(150, 80)
#' held <- setdiff(1:150, train)[1:40]
#' fit <- nnet::nnet(Species ~ ., iris[train, ], size = 4, decay = 0.01, trace = FALSE)
#' la <- conformalize(laplace(fit), iris[held, ])
#' head(predict(la, iris[-c(train, held), ], type = "set", level = 0.9))
#' \dontshow{close(laplace_server())}
conformalize <- function(object, ...) UseMethod("conformalize")

#' @rdname conformalize
#' @export
conformalize.laplace <- function(object, x, y, score = NULL, randomised = FALSE, seed = NULL, ...) {
  check_no_more(...)
  recalibrated(object, "conformalize", calibration_rows(object, x, y, score, randomised, seed))
}

#' Rows held out (none where they are left out) and how classes are scored, as the server takes them.
#' @noRd
calibration_rows <- function(object, x, y, score, randomised, seed) {
  if (missing(x) && !missing(y)) laplace_stop("Responses `y` need their rows `x`.", "BAD_OPTION")
  rows <- if (!missing(x)) labelled_rows(object, x, y, "conformalize(object, x, y)")
  params <- if (is.null(rows)) list() else list(x = as_wire_examples(rows$x), y = as_wire_array(rows$y))
  if (!is.null(score)) params$score <- one_of(score, SET_SCORES, "score")
  check_flag(randomised, "randomised")
  if (!is.null(seed)) fresh_seed(seed)
  if (randomised) c(params, list(randomised = TRUE, seed = fresh_seed(seed))) else params
}

SET_SCORES <- c("aps", "lac")

#' A new object of the posterior that a method answers with; data, levels and call stay.
#' @noRd
recalibrated <- function(object, method, params) {
  server <- laplace_server()
  answer <- make_remote(server, method, c(list(posterior = handle_of(object, server)), params))
  kept <- c(
    "call", "levels", "labels", "terms", "xlevels", "contrasts", "na.action", "frame", "features", "x", "y", "options"
  )
  blob <- request(server, "save", list(posterior = answer$handle))$data
  result <- new_laplace(unclass(object)[intersect(kept, names(object))], answer$summary, blob, answer$remote)
  result$notes <- object$notes
  result
}
