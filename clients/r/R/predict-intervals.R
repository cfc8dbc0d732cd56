# Intervals, quantiles and sets of classes, as data frames with the names of tidymodels.

#' Estimates with their limits: .pred, .pred_lower, .pred_upper, with the names of the outputs where there are several.
#' @noRd
predicted_interval <- function(object, x, how, noise) {
  from_server <- by_server(object, how)
  limits <- if (from_server) server_limits(object, x, how, noise) else drawn_limits(object, x, how, noise)
  table <- output_columns(object, list(.pred = limits$fit, .pred_lower = limits$lower, .pred_upper = limits$upper))
  structure(table, level = how$level, interval = limits$interval)
}

#' Whether the server gives limits and quantiles; of a regression with drawn weights they come from the draws.
#' @noRd
by_server <- function(object, how) {
  has_observation(object) || has_numbers(object) && (is_linearised(how) || is_mixture(object))
}

is_linearised <- function(how) is.null(how$predictive) || identical(how$predictive, "glm")

#' Intervals of numbers: calibrated ones where the posterior was conformalized, those of the predictive distribution
#' otherwise; without noise those of the mean alone.
#' @noRd
server_limits <- function(object, x, how, noise) {
  how$noise <- if (!noise) FALSE
  how$wants_level <- TRUE
  answer <- predicted(object, x, how, parts = c("mean", "predictiveMean", "lower", "upper"))
  for (note in answer$notes) tell(note)
  list(fit = observed_mean(answer), lower = answer$lower, upper = answer$upper, interval = answer$interval)
}

#' Credible intervals of probabilities, and those of networks with drawn weights.
#' @noRd
drawn_limits <- function(object, x, how, noise) {
  tail <- (1 - how$level) / 2
  values <- output_quantiles(object, x, how, c(0.5, tail, 1 - tail), noise)
  one <- function(index) matrix(values[, , index], dim(values)[1])
  list(fit = one(1), lower = one(2), upper = one(3), interval = if (noise) "draws" else "credible")
}

#' Quantiles as columns .pred_q0.05 and so on, with the names of the outputs where there are several.
#' @noRd
predicted_quantiles <- function(object, x, how, quantiles) {
  if (!is.numeric(quantiles) || length(quantiles) == 0 || anyNA(quantiles) || any(quantiles <= 0 | quantiles >= 1)) {
    laplace_stop("`quantiles` must be numbers between 0 and 1.", "BAD_OPTION", list(option = "quantiles"))
  }
  numbers <- has_numbers(object)
  values <- if (by_server(object, how)) {
    how$wants_quantiles <- TRUE
    predicted(object, x, how, parts = "quantiles")$quantiles
  } else {
    output_quantiles(object, x, how, quantiles, noise = numbers)
  }
  columns <- lapply(seq_along(quantiles), function(index) matrix(values[, , index], dim(values)[1]))
  names(columns) <- paste0(".pred_q", vapply(quantiles, format, "", digits = 7, trim = TRUE))
  structure(output_columns(object, columns), quantile_levels = quantiles)
}

#' n x C matrices as the columns of a data frame: those of an output side by side.
#' @noRd
output_columns <- function(object, matrices) {
  outputs <- ncol(matrices[[1]])
  if (outputs == 1) return(as.data.frame(lapply(matrices, as.vector), optional = TRUE))
  labels <- output_names(object)
  if (is.null(labels)) labels <- seq_len(outputs) - (object$likelihood == "classification")
  columns <- lapply(seq_len(outputs), function(output) {
    stats::setNames(lapply(matrices, function(values) values[, output]), paste0(names(matrices), "_", labels[output]))
  })
  as.data.frame(do.call(c, columns), optional = TRUE)
}

#' n x C x quantiles of probabilities, or of means with drawn weights.
#' @noRd
output_quantiles <- function(object, x, how, quantiles, noise) {
  # With a choice the posterior is about the linear model's outputs, which the answer's mean alone does not give.
  by_draws <- object$likelihood %in% c("classification", "regression") || !is_linearised(how) ||
    !is.null(object$choice) || is_mixture(object)
  if (by_draws) {
    draws <- drawn(object, x, how)
    if (noise) {
      for (index in seq_len(dim(draws)[3])) {
        one <- matrix(draws[, , index], dim(draws)[1])
        draws[, , index] <- one + noise_like(object, one)
      }
    }
    values <- apply(draws, c(1, 2), stats::quantile, probs = quantiles, names = FALSE)
    return(aperm(array(values, c(length(quantiles), dim(draws)[1:2])), c(2, 3, 1)))
  }
  fit <- predicted(object, x, how, parts = c("mean", "variance"))
  deviation <- sqrt(fit$variance)
  values <- vapply(stats::qnorm(quantiles), function(z) fit$mean + z * deviation, fit$mean)
  stats::plogis(array(values, c(dim(fit$mean), length(quantiles))))
}

#' Whether each class belongs to the set of a row: a logical matrix with the classes as columns.
#' @noRd
predicted_set <- function(object, x, how) {
  how$wants_level <- TRUE
  answer <- predicted(object, x, how, parts = "sets")
  for (note in answer$notes) tell(note)
  sets <- answer$sets == 1
  binary <- object$likelihood == "binary"
  colnames(sets) <- if (binary && length(object$levels) != 2) c("0", "1")
    else if (binary) object$levels
    else output_names(object)
  structure(sets, level = how$level, interval = answer$interval)
}
