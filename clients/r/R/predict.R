# `predict()`: its arguments, and which computation a type is.

TYPES <- c("response", "class", "prob", "link", "conf_int", "pred_int", "quantile", "samples", "set")

#' Predictions with their uncertainty
#'
#' @param object a fitted `laplace` object.
#' @param newdata a data frame for fits by formula, otherwise a matrix or data frame with the columns of the training
#'   data (found by name where both have names). The training data when it is left out.
#' @param type
#' \describe{
#'   \item{response}{means in regression; probabilities otherwise: of the second level for `"binary"`, of every class
#'     else}
#'   \item{class}{the most probable class, a factor}
#'   \item{prob}{probabilities of all classes, a matrix}
#'   \item{link}{outputs of the network: means or logits}
#'   \item{conf_int}{an interval for the mean, or for the probabilities: what is uncertain of the weights, without
#'     noise}
#'   \item{pred_int}{an interval for a new observation (regression), noise included; after [conformalize()] with its
#'     guarantee}
#'   \item{quantile}{`quantiles` of a new observation (regression) or of the probabilities}
#'   \item{set}{the set of classes that holds the true one with probability `level`; after [conformalize()]}
#'   \item{samples}{draws of means or probabilities from the posterior, in the last axis}
#' }
#' @param se.fit whether to give standard errors too, for types response, prob and link: the result is then a list of
#'   `fit`, `se.fit` and, in regression, `residual.scale` (the noise). Those of probabilities are by the delta method.
#' @param level of intervals.
#' @param quantiles probabilities of the quantiles.
#' @param link how uncertain logits become probabilities: `NULL` for what the fit chose (`"probit"` where it chose
#'   nothing), or `"probit"`, `"mc"`, `"bridge"`, `"bridge_norm"`, `"mean_field_1"`, `"mean_field_2"`, `"zero_sum"`,
#'   `"pairwise"`, `"map"`.
#' @param predictive `"glm"` (the linearised network) or `"nn"` (networks with drawn weights).
#' @param n_samples number of draws, where there are any.
#' @param seed of the draws; taken from R's random numbers when not given, so that [set.seed()] governs them.
#' @param na.action what to do with rows with missing values: [stats::na.pass()] predicts `NA`, [stats::na.omit()]
#'   leaves them out.
#' @param timeout,progress as in [laplace()].
#' @param ... not used.
#'
#' @return A vector where there is one output, a matrix with a column for each output otherwise (samples have one more
#'   axis then); a factor for `type = "class"`; a logical matrix with a column for each class for `"set"`. With `se.fit`
#'   a list.
#'
#'   For `"conf_int"` and `"pred_int"` a data frame with the columns `.pred` (the mean; the median of probabilities),
#'   `.pred_lower` and `.pred_upper`, for `"quantile"` with the columns `.pred_q0.025` and so on; where there are
#'   several outputs each column has the name of its output as suffix, such as `.pred_lower_setosa`. The attribute
#'   `interval` says where the width comes from: `"gaussian"`, `"conformal"` (held-out rows), `"jackknife"` (training
#'   rows, each predicted without itself: approximate), `"credible"` (the weights alone) or `"draws"`.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' la <- laplace(fit)
#' new <- data.frame(speed = c(0.1, 0.3, 0.9))
#' predict(la, new, se.fit = TRUE)
#' predict(la, new, type = "pred_int", level = 0.9)
#' \dontshow{close(laplace_server())}
predict.laplace <- function(object, newdata,
                            type = c(
                              "response", "class", "prob", "link", "conf_int", "pred_int", "quantile", "samples",
                              "set"
                            ),
                            se.fit = FALSE, level = 0.95, quantiles = c(0.025, 0.25, 0.5, 0.75, 0.975),
                            link = NULL, predictive = "glm", n_samples = NULL, seed = NULL,
                            na.action = stats::na.pass, timeout = NULL,
                            progress = getOption("polylaplace.progress", FALSE), ...) {
  check_no_more(...)
  check_flag(se.fit, "se.fit")
  check_seconds(timeout)
  check_progress(progress)
  check_na_action(na.action)
  check_that(
    is.numeric(quantiles) && length(quantiles) > 0 && all(is.finite(quantiles)) && all(quantiles > 0 & quantiles < 1),
    "quantiles", "numbers between 0 and 1"
  )
  type <- if (missing(type)) "response" else one_of(type, TYPES, "type")
  check_type(object, type)
  check_level(level)
  rows <- if (missing(newdata)) training_rows(object) else new_features(object, newdata, match.fun(na.action))
  if (!any(rows$keep)) laplace_stop("`newdata` has no row without missing values.", "EMPTY_DATA")
  how <- list(
    link = link, predictive = predictive, samples = n_samples, seed = seed, se = se.fit, level = level,
    quantiles = quantiles,
    timeout = timeout, progress = progress
  )
  result <- predict_type(object, rows_of(rows$x, rows$keep), type, how)
  restore <- function(values) {
    whole <- with_missing(values, rows$keep)
    if (is.factor(whole)) return(whole)
    whole <- named_rows(whole, rows$names)
    for (name in c("level", "interval", "quantile_levels")) attr(whole, name) <- attr(values, name)
    whole
  }
  if (!se.fit) return(restore(result))
  result$fit <- restore(result$fit)
  result$se.fit <- restore(result$se.fit)
  result
}

check_type <- function(object, type) {
  numbers <- has_numbers(object)
  if (numbers && type %in% c("class", "prob")) {
    laplace_stop(
      sprintf(
        "type = \"%s\" needs classes; the likelihood \"%s\" is one of numbers. Use \"response\".",
        type, object$likelihood
      ),
      "BAD_COMBINATION", list(option = "type")
    )
  }
  if (!numbers && type == "pred_int") {
    laplace_stop(
      paste0(
        "type = \"pred_int\" is for numbers; \"conf_int\" gives intervals for probabilities, \"set\" sets of ",
        "classes."
      ),
      "BAD_COMBINATION", list(option = "type")
    )
  }
  if (type == "set") check_sets(object)
}

check_sets <- function(object) {
  if (!object$likelihood %in% c("classification", "binary")) {
    laplace_stop(
      sprintf("type = \"set\" needs classes; the likelihood is \"%s\".", object$likelihood), "BAD_COMBINATION",
      list(option = "type")
    )
  }
  if (is.null(object$conformal)) {
    laplace_stop("Sets of classes need a calibrated posterior: conformalize(object, x, y) first.", "NOT_FITTED")
  }
}

check_level <- function(level) {
  if (!is.numeric(level) || length(level) != 1 || is.na(level) || level <= 0 || level >= 1) {
    laplace_stop("`level` must be one number between 0 and 1.", "BAD_OPTION", list(option = "level"))
  }
}

#' The training data as rows for predicting.
#' @noRd
training_rows <- function(object) {
  if (is.null(object$x)) laplace_stop("This object holds no training data: give `newdata`.", "NOT_FITTED")
  list(x = object$x, keep = rep(TRUE, dim(object$x)[1]), names = rownames(object$x))
}

named_rows <- function(values, names) {
  if (is.null(names)) return(values)
  if (is.data.frame(values)) {
    # Rows of a data frame have names of their own; those of a matrix may occur twice.
    if (!anyDuplicated(names)) rownames(values) <- names
    return(values)
  }
  if (is.null(dim(values))) return(stats::setNames(values, names))
  others <- if (is.null(dimnames(values))) rep(list(NULL), length(dim(values)) - 1) else dimnames(values)[-1]
  dimnames(values) <- c(list(names), others)
  values
}

predict_type <- function(object, x, type, how) {
  switch(type,
    class = predicted_class(object, predicted(object, x, how, parts = "probabilities")$probabilities),
    response = , prob = , link = predicted_point(object, x, type, how),
    set = predicted_set(object, x, how),
    conf_int = predicted_interval(object, x, how, noise = FALSE),
    pred_int = predicted_interval(object, x, how, noise = TRUE),
    quantile = predicted_quantiles(object, x, how, how$quantiles),
    samples = predicted_samples(object, x, how)
  )
}
