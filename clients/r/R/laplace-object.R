# What a fitted object holds.

#' The fitted object. It holds the portable blob of the posterior, so that it survives saveRDS() and the end of the
#' server.
#' @noRd
new_laplace <- function(object, summary, blob, remote) {
  numbers <- list(
    likelihood = summary$likelihood, subset = summary$subset, structure = summary$structure,
    curvature = summary$curvature,
    nobs = summary$examples, outputs = summary$outputs, parameter_count = summary$parameterCount,
    parameters = parameter_table(summary$parameters),
    log_likelihood = summary$logLikelihood, log_marginal_likelihood = summary$logMarginalLikelihood,
    log_evidence_at_mode = summary$logEvidenceAtMode, loss = summary$loss,
    prior_precision = summary$priorPrecision, prior_mean = summary$priorMean,
    sigma_noise = named_noise(summary$sigmaNoise, object$labels),
    noise_covariance = if (is.matrix(summary$sigmaNoise)) summary$sigmaNoise,
    temperature = summary$temperature,
    tuned = summary$tuned, effective_parameters = summary$effectiveParameters, engine = summary$engine,
    precision = summary$precision,
    seed = summary$seed, notes = as.character(unlist(summary$notes)), digest = summary$digest,
    choice = choice_of(summary$choice), training = training_of(summary$training),
    conformal = snake_names(summary$conformal)
  )
  structure(c(object, numbers, list(blob = blob, remote = remote)), class = "laplace")
}

#' sigma: one number, or one for each output, with its name.
#' @noRd
named_noise <- function(sigma, labels) {
  sigma <- if (is.matrix(sigma)) sqrt(diag(sigma)) else as.double(unlist(sigma))
  if (length(sigma) > 1 && length(labels) == length(sigma)) names(sigma) <- labels
  sigma
}

#' A row for each tensor of the posterior, in the order of its parameters.
#' @noRd
parameter_table <- function(parameters) {
  data.frame(
    name = vapply(parameters, function(entry) entry$name, ""),
    shape = vapply(parameters, function(entry) paste(unlist(entry$shape), collapse = "x"), ""),
    size = vapply(parameters, function(entry) as.double(entry$size), 0),
    stringsAsFactors = FALSE
  )
}
