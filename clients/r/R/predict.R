TYPES <- c("response", "class", "prob", "link", "conf_int", "pred_int", "quantile", "samples")

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
#'   \item{conf_int}{an interval for the mean or the probabilities, columns `fit` (the median), `lwr`, `upr`}
#'   \item{pred_int}{an interval for a new observation (regression), noise included}
#'   \item{quantile}{`quantiles` of a new observation (regression) or of the probabilities}
#'   \item{samples}{draws of means or probabilities from the posterior, in the last axis}
#' }
#' @param se.fit whether to give standard errors too, for types response, prob and link: the result is then a list of
#'   `fit`, `se.fit` and, in regression, `residual.scale` (the noise). Those of probabilities are by the delta method.
#' @param level of intervals.
#' @param quantiles probabilities of the quantiles.
#' @param link how uncertain logits become probabilities: `"probit"`, `"mc"`, `"bridge"`, `"bridge_norm"`,
#'   `"mean_field_1"`, `"mean_field_2"`, `"map"`.
#' @param predictive `"glm"` (the linearised network) or `"nn"` (networks with drawn weights).
#' @param n_samples number of draws, where there are any.
#' @param seed of the draws; taken from R's random numbers when not given, so that [set.seed()] governs them.
#' @param na.action what to do with rows with missing values: [stats::na.pass()] predicts `NA`, [stats::na.omit()]
#'   leaves them out.
#' @param timeout,progress as in [laplace()].
#' @param ... not used.
#'
#' @return A vector where there is one output, a matrix with a column for each output otherwise (intervals, quantiles
#'   and samples have one more axis then); a factor for `type = "class"`. With `se.fit` a list.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' la <- laplace(fit)
#' new <- data.frame(speed = c(0.1, 0.3, 0.9))
#' predict(la, new, se.fit = TRUE)
#' predict(la, new, type = "pred_int", level = 0.9)
predict.laplace <- function(object, newdata,
                            type = c(
                              "response", "class", "prob", "link", "conf_int", "pred_int", "quantile", "samples"
                            ),
                            se.fit = FALSE, level = 0.95, quantiles = c(0.025, 0.25, 0.5, 0.75, 0.975),
                            link = "probit", predictive = "glm", n_samples = NULL, seed = NULL,
                            na.action = stats::na.pass, timeout = NULL,
                            progress = getOption("polylaplace.progress", FALSE), ...) {
  check_unused(...)
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
    values <- with_missing(values, rows$keep)
    if (is.factor(values)) values else named_rows(values, rows$names)
  }
  if (!se.fit) return(restore(result))
  result$fit <- restore(result$fit)
  result$se.fit <- restore(result$se.fit)
  result
}

check_unused <- function(...) {
  names <- ...names_or_none(...)
  if (...length() == 0) return()
  known <- names(formals(predict.laplace))
  near <- if (length(names) > 0 && nzchar(names[1])) nearest(names[1], known) else ""
  laplace_stop(
    paste0(
      "There is no argument ",
      if (length(names) > 0 && nzchar(names[1])) sprintf("`%s`", names[1]) else "at this place", ".",
      if (nzchar(near)) sprintf(" Did you mean `%s`?", near)
    ),
    "UNKNOWN_OPTION", list(option = names[1], suggestion = near)
  )
}

#' ...names() is younger than the oldest R that is supported.
#' @noRd
...names_or_none <- function(...) names(match.call(expand.dots = FALSE)$...)

check_type <- function(object, type) {
  regression <- object$likelihood == "regression"
  if (regression && type %in% c("class", "prob")) {
    laplace_stop(
      sprintf("type = \"%s\" needs classes; this is a regression. Use \"response\".", type), "BAD_COMBINATION",
      list(option = "type")
    )
  }
  if (!regression && type == "pred_int") {
    laplace_stop(
      "type = \"pred_int\" is for regression; \"conf_int\" gives intervals for probabilities.", "BAD_COMBINATION",
      list(option = "type")
    )
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
  if (is.null(dim(values))) return(stats::setNames(values, names))
  others <- if (is.null(dimnames(values))) rep(list(NULL), length(dim(values)) - 1) else dimnames(values)[-1]
  dimnames(values) <- c(list(names), others)
  values
}

predict_type <- function(object, x, type, how) {
  switch(type,
    class = predicted_class(object, predicted(object, x, how, parts = "probabilities")$probabilities),
    response = , prob = , link = predicted_point(object, x, type, how),
    conf_int = predicted_interval(object, x, how, noise = FALSE),
    pred_int = predicted_interval(object, x, how, noise = TRUE),
    quantile = predicted_quantiles(object, x, how, how$quantiles),
    samples = predicted_samples(object, x, how)
  )
}

#' Uncertainty of the data and of the network
#'
#' Splits the uncertainty of predictions in two: *aleatoric*, which more data would not take away, and *epistemic*, the
#' network's own ignorance, large where there was little data.
#'
#' @inheritParams predict.laplace
#' @return A data frame with a row for each row of `newdata` and the columns `aleatoric`, `epistemic` and `total`:
#'   variances in regression, entropies in nats for classes. Where there are several outputs that are uncertain by
#'   themselves (regression on several responses, multilabel), a list of three matrices.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' laplace_uncertainty(laplace(fit), data.frame(speed = c(0.1, 0.3, 0.9)))
laplace_uncertainty <- function(object, newdata, seed = NULL, na.action = stats::na.pass) {
  rows <- if (missing(newdata)) training_rows(object) else new_features(object, newdata, match.fun(na.action))
  answer <- predicted(
    object, rows_of(rows$x, rows$keep), list(link = "probit", predictive = "glm", seed = seed, uncertainty = TRUE)
  )
  parts <- lapply(answer[c("aleatoric", "epistemic")], function(part) {
    part <- with_missing(part, rows$keep)
    if (!is.null(dim(part)) && ncol(part) == 1) part[, 1] else part
  })
  parts$total <- parts$aleatoric + parts$epistemic
  if (!is.null(dim(parts$total))) return(parts)
  as.data.frame(parts, row.names = rows$names)
}

# --- what the server says ---

#' mean, variance, probabilities and so on for rows, in batches where there are many.
#' @param parts which of them will be read; all by default.
#' @noRd
predicted <- function(object, x, how, covariance = FALSE, parts = NULL) {
  options <- list(
    link = how$link, predictive = how$predictive, samples = how$samples, covariance = if (covariance) TRUE,
    uncertainty = isTRUE(how$uncertainty)
  )
  if (!is.null(how$seed) || identical(how$link, "mc") || identical(how$predictive, "nn") || options$uncertainty) {
    options$seed <- fresh_seed(how$seed)
  }
  options <- options[!vapply(options, is.null, NA)]
  answers <- lapply(row_batches(x), function(rows) {
    part <- if (length(rows) == dim(x)[1]) x else rows_of(x, rows)
    params <- c(list(x = as_wire_array(part), options = options), if (!is.null(parts)) list(parts = as.list(parts)))
    ask(object, "predict", params, timeout = how$timeout, progress = how$progress)
  })
  if (length(answers) == 1) answers[[1]] else bound(answers)
}

bound <- function(parts) {
  names <- intersect(c("mean", "variance", "probabilities", "covariance", "aleatoric", "epistemic"), names(parts[[1]]))
  lapply(stats::setNames(names, names), function(name) {
    extents <- dim(parts[[1]][[name]])
    if (is.null(extents)) return(unlist(lapply(parts, `[[`, name)))
    all <- do.call(rbind, lapply(parts, function(part) matrix(part[[name]], dim(part[[name]])[1])))
    array(all, c(nrow(all), extents[-1]))
  })
}

#' Draws of means or probabilities: rows x outputs x draws.
#' @noRd
drawn <- function(object, x, how, method = "predictiveSamples", default = 1000) {
  params <- list(
    x = as_wire_array(x), samples = if (is.null(how$samples)) default else how$samples, seed = fresh_seed(how$seed),
    predictive = if (is.null(how$predictive)) "glm" else how$predictive
  )
  samples <- ask(object, method, params, timeout = how$timeout, progress = how$progress)$samples
  aperm(samples, c(2, 3, 1))
}

# --- types ---

predicted_point <- function(object, x, type, how) {
  probabilities <- type != "link" && object$likelihood != "regression"
  part <- if (probabilities) "probabilities" else "mean"
  answer <- predicted(
    object, x, how, covariance = how$se && object$likelihood == "classification" && probabilities,
    parts = if (!how$se) part
  )
  values <- answer[[part]]
  fit <- shaped(object, values, type)
  if (!how$se) return(fit)
  errors <- if (probabilities) probability_errors(object$likelihood, answer) else sqrt(answer$variance)
  result <- list(fit = fit, se.fit = shaped(object, errors, type, complement = FALSE))
  if (object$likelihood == "regression") result$residual.scale <- object$sigma_noise
  result
}

#' Standard errors of probabilities by the delta method: the standard deviations of logits times the slope of the link
#' at the mean.
#' @noRd
probability_errors <- function(likelihood, answer) {
  if (likelihood != "classification") {
    p <- stats::plogis(answer$mean)
    return(p * (1 - p) * sqrt(answer$variance))
  }
  p <- softmax(answer$mean)
  errors <- p
  for (row in seq_len(nrow(p))) {
    slope <- diag(p[row, ], ncol(p)) - tcrossprod(p[row, ])
    errors[row, ] <- sqrt(pmax(0, rowSums((slope %*% answer$covariance[row, , ]) * slope)))
  }
  errors
}

softmax <- function(f) {
  e <- exp(f - f[cbind(seq_len(nrow(f)), max.col(f, ties.method = "first"))])
  e / rowSums(e)
}

#' Names of the outputs: levels of classes, columns of the response.
#' @noRd
output_names <- function(object) {
  if (object$likelihood == "classification" && length(object$levels) == object$outputs) object$levels
  else if (!is.null(object$labels) && length(object$labels) == object$outputs) object$labels
}

#' A vector where there is one output; otherwise columns with names.
#' @param complement whether the two columns of binary probabilities add to 1, or are equal (standard errors).
#' @noRd
shaped <- function(object, values, type, complement = TRUE) {
  if (type == "prob" && object$likelihood == "binary") {
    values <- cbind(if (complement) 1 - values else values, values)
    colnames(values) <- if (length(object$levels) == 2) object$levels else c("0", "1")
    return(values)
  }
  if (ncol(values) == 1) return(values[, 1])
  colnames(values) <- output_names(object)
  values
}

predicted_class <- function(object, probabilities) {
  if (object$likelihood == "multilabel") {
    colnames(probabilities) <- output_names(object)
    return(probabilities > 0.5)
  }
  number <- if (object$likelihood == "binary") {
    as.integer(probabilities[, 1] > 0.5)
  } else {
    max.col(probabilities, ties.method = "first") - 1L
  }
  if (is.null(object$levels)) number else factor(object$levels[number + 1L], levels = object$levels)
}

#' Median and limits: n x 3 for one output, n x C x 3 for several.
#' @noRd
predicted_interval <- function(object, x, how, noise) {
  tail <- (1 - how$level) / 2
  values <- output_quantiles(object, x, how, c(0.5, tail, 1 - tail), noise)
  dimnames(values) <- list(NULL, output_names(object), c("fit", "lwr", "upr"))
  without_single_output(values)
}

predicted_quantiles <- function(object, x, how, quantiles) {
  if (!is.numeric(quantiles) || length(quantiles) == 0 || anyNA(quantiles) || any(quantiles <= 0 | quantiles >= 1)) {
    laplace_stop("`quantiles` must be numbers between 0 and 1.", "BAD_OPTION", list(option = "quantiles"))
  }
  values <- output_quantiles(object, x, how, quantiles, noise = object$likelihood == "regression")
  dimnames(values) <- list(NULL, output_names(object), paste0(format(100 * quantiles, trim = TRUE, digits = 7), "%"))
  without_single_output(values)
}

#' n x C x quantiles. Exact where each output is a function of one Gaussian; by draws for softmax and for drawn weights.
#' @noRd
output_quantiles <- function(object, x, how, quantiles, noise) {
  if (object$likelihood == "classification" || !identical(how$predictive, "glm")) {
    draws <- drawn(object, x, how)
    if (noise) draws <- draws + stats::rnorm(length(draws), sd = object$sigma_noise)
    values <- apply(draws, c(1, 2), stats::quantile, probs = quantiles, names = FALSE)
    return(aperm(array(values, c(length(quantiles), dim(draws)[1:2])), c(2, 3, 1)))
  }
  fit <- predicted(object, x, how)
  deviation <- sqrt(fit$variance + if (noise) object$sigma_noise^2 else 0)
  values <- array(
    vapply(stats::qnorm(quantiles), function(z) fit$mean + z * deviation, fit$mean), c(dim(fit$mean), length(quantiles))
  )
  if (object$likelihood == "regression") values else stats::plogis(values)
}

without_single_output <- function(values) {
  if (dim(values)[2] != 1) return(values)
  matrix(values, dim(values)[1], dim(values)[3], dimnames = dimnames(values)[c(1, 3)])
}

predicted_samples <- function(object, x, how) {
  draws <- drawn(object, x, how, default = 100)
  dimnames(draws) <- list(NULL, output_names(object), NULL)
  without_single_output(draws)
}
