# Predictions as the server gives them, in batches where there are many rows.

#' mean, variance, probabilities and so on for rows, in batches where there are many.
#' @param parts which of them will be read; all by default.
#' @noRd
predicted <- function(object, x, how, covariance = FALSE, parts = NULL) {
  options <- list(
    link = how$link, predictive = how$predictive, samples = how$samples, covariance = if (covariance) TRUE,
    uncertainty = isTRUE(how$uncertainty), level = if (isTRUE(how$wants_level)) how$level,
    quantiles = if (isTRUE(how$wants_quantiles)) as_wire_array(as.double(how$quantiles)), noise = how$noise
  )
  if (!is.null(how$seed) || identical(how$link, "mc") || identical(how$predictive, "nn") || options$uncertainty) {
    options$seed <- fresh_seed(how$seed)
  }
  options <- options[!vapply(options, is.null, NA)]
  answers <- lapply(row_batches(x), function(rows) {
    part <- if (length(rows) == dim(x)[1]) x else rows_of(x, rows)
    params <- c(list(x = as_wire_examples(part), options = options), if (!is.null(parts)) list(parts = as.list(parts)))
    ask(object, "predict", params, timeout = how$timeout, progress = how$progress)
  })
  if (length(answers) == 1) answers[[1]] else bound(answers)
}

#' The answers for some rows each as one. Arrays of more than two axes are why `rbind()` alone is not enough.
#' @noRd
bound <- function(parts) {
  arrays <- c(
    "mean", "variance", "probabilities", "covariance", "aleatoric", "epistemic", "novelty", "noveltyScore", "lower",
    "upper", "predictiveMean", "sets", "quantiles"
  )
  names <- intersect(arrays, names(parts[[1]]))
  whole <- lapply(stats::setNames(names, names), function(name) {
    extents <- dim(parts[[1]][[name]])
    if (is.null(extents)) return(unlist(lapply(parts, `[[`, name)))
    all <- do.call(rbind, lapply(parts, function(part) matrix(part[[name]], dim(part[[name]])[1])))
    array(all, c(nrow(all), extents[-1]))
  })
  notes <- unique(unlist(lapply(parts, `[[`, "notes")))
  c(whole, list(interval = parts[[1]]$interval, notes = notes))
}

#' Draws of means or probabilities: rows x outputs x draws.
#' @noRd
drawn <- function(object, x, how, method = "predictiveSamples", default = 1000) {
  params <- list(
    x = as_wire_examples(x), samples = if (is.null(how$samples)) default else how$samples, seed = fresh_seed(how$seed),
    predictive = if (is.null(how$predictive)) "glm" else how$predictive
  )
  samples <- ask(object, method, params, timeout = how$timeout, progress = how$progress)$samples
  aperm(samples, c(2, 3, 1))
}
