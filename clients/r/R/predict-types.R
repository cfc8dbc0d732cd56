# The types of prediction, from what the server gives.

#' Means, probabilities or logits, (n) or n x C, with standard errors where they are asked for.
#' @noRd
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

#' Probabilities n x C of logits; the largest is taken off first, so that none overflows.
#' @noRd
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

#' Draws: n x draws for one output, n x C x draws for several.
#' @noRd
predicted_samples <- function(object, x, how) {
  draws <- drawn(object, x, how, default = 100)
  dimnames(draws) <- list(NULL, output_names(object), NULL)
  without_single_output(draws)
}
