# The types of prediction, from what the server gives.

#' Means, probabilities or logits, (n) or n x C, with standard errors where they are asked for.
#' @noRd
predicted_point <- function(object, x, type, how) {
  if (type != "link" && has_observation(object)) return(observed_point(object, x, how))
  probabilities <- type != "link" && !has_numbers(object)
  part <- if (probabilities) "probabilities" else "mean"
  answer <- predicted(
    object, x, how, covariance = how$se && object$likelihood == "classification" && probabilities,
    parts = if (!how$se) part
  )
  # The answer of a choice has a mean probability of its own, where the slope of the link is to be taken.
  chosen <- if (is.null(how$link) && !is.null(object$choice)) answer$probabilities
  values <- answer[[part]]
  fit <- shaped(object, values, type)
  if (!how$se) return(fit)
  errors <- if (probabilities) probability_errors(object$likelihood, answer, chosen) else sqrt(answer$variance)
  result <- list(fit = fit, se.fit = shaped(object, errors, type, complement = FALSE))
  if (object$likelihood == "regression") result$residual.scale <- object$sigma_noise
  result
}

#' Means of a new observation, with standard errors where they are asked for: what the network does not know of them.
#' @noRd
observed_point <- function(object, x, how) {
  how$uncertainty <- how$se
  answer <- predicted(object, x, how, parts = c("mean", "predictiveMean", if (how$se) "epistemic"))
  fit <- shaped(object, observed_mean(answer), "response")
  if (!how$se) return(fit)
  list(fit = fit, se.fit = shaped(object, sqrt(answer$epistemic), "response"))
}

#' The mean of a new observation.
#' @noRd
observed_mean <- function(answer) if (is.null(answer$predictiveMean)) answer$mean else answer$predictiveMean

#' Standard errors of probabilities by the delta method: the standard deviations of logits times the slope of the link
#' at the mean.
#' @param chosen probabilities at which the slope is taken instead; NULL: at the mean's.
#' @noRd
probability_errors <- function(likelihood, answer, chosen = NULL) {
  if (likelihood != "classification") {
    p <- if (is.null(chosen)) stats::plogis(answer$mean) else chosen
    return(p * (1 - p) * sqrt(answer$variance))
  }
  p <- if (is.null(chosen)) softmax(answer$mean) else chosen
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
  number <- class_numbers(object, probabilities)
  if (is.null(object$levels)) return(number)
  named <- factor(object$levels[number + 1L], levels = object$levels)
  if (is.null(dim(number))) named else array(as.character(named), dim(number))
}

#' The most probable class of each row, or of each position of a row, from 0.
#' @noRd
class_numbers <- function(object, probabilities) {
  extents <- dim(probabilities)
  if (object$likelihood == "binary") {
    above <- probabilities > 0.5
    return(if (length(extents) == 2 && extents[2] == 1) as.integer(above[, 1]) else array(as.integer(above), extents))
  }
  if (length(extents) == 2) return(max.col(probabilities, ties.method = "first") - 1L)
  axis <- class_axis_of(object, extents)
  rest <- seq_along(extents)[-axis]
  rows <- matrix(aperm(probabilities, c(rest, axis)), ncol = extents[axis])
  array(max.col(rows, ties.method = "first") - 1L, extents[rest])
}

#' The axis of the classes among the axes of positions: the only one with as many elements.
#' @noRd
class_axis_of <- function(object, extents) {
  axis <- 1L + which(extents[-1] == object$outputs)
  if (length(axis) == 1) return(axis)
  stop("Several axes of the probabilities (", paste(extents, collapse = " x "), ") have ", object$outputs,
    " elements, and only one is that of the classes: use type = \"prob\" and take the classes along yours.",
    call. = FALSE)
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
