# New responses.

#' Draws of new responses
#'
#' Each draw takes a network from the posterior and responses from its predictions: with noise in regression, classes
#' otherwise.
#'
#' @param object a fitted `laplace` object.
#' @param nsim number of draws.
#' @param seed as in [stats::simulate()]: the random numbers are as after `set.seed(seed)` and are put back afterwards.
#'   `NULL`: R's own random numbers go on.
#' @param newdata where to draw; the training data when it is left out.
#' @param ... not used.
#' @return A data frame with a column for each draw (a list of matrices where there are several outputs), with the
#'   attribute `seed`.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' head(simulate(laplace(fit), 3, seed = 7))
#' \dontshow{close(laplace_server())}
simulate.laplace <- function(object, nsim = 1, seed = NULL, newdata, ...) {
  check_no_more(...)
  check_whole(nsim, "nsim")
  check_that(
    is.null(seed) || is.numeric(seed) && length(seed) == 1 && is.finite(seed) && abs(seed) <= .Machine$integer.max,
    "seed", "a whole number, as of set.seed()"
  )
  if (!exists(".Random.seed", envir = globalenv(), inherits = FALSE)) stats::runif(1)
  state <- get(".Random.seed", envir = globalenv(), inherits = FALSE)
  if (!is.null(seed)) {
    before <- state
    on.exit(assign(".Random.seed", before, envir = globalenv()))
    set.seed(seed)
    state <- structure(seed, kind = as.list(RNGkind()))
  }
  rows <- if (missing(newdata)) training_rows(object) else new_features(object, newdata)
  draws <- drawn(object, rows_of(rows$x, rows$keep), list(samples = nsim, predictive = "glm"), simulated_method(object))
  values <- lapply(seq_len(nsim), function(index) {
    one <- with_missing(simulated(object, matrix(draws[, , index], dim(draws)[1])), rows$keep)
    if (!is.null(dim(one)) && ncol(one) == 1) one[, 1] else one
  })
  names(values) <- paste0("sim_", seq_len(nsim))
  if (is.null(dim(values[[1]]))) values <- data.frame(values, row.names = rows$names)
  attr(values, "seed") <- state
  values
}

simulated_method <- function(object) if (object$likelihood == "regression") "functionalSamples" else "predictiveSamples"

#' One draw of responses, given one draw of means, probabilities, rates, or means and variances (n x C).
#' @noRd
simulated <- function(object, draw) {
  if (object$likelihood == "regression") return(draw + noise_like(object, draw))
  if (object$likelihood == "poisson") return(array(stats::rpois(length(draw), draw), dim(draw)))
  if (object$likelihood == "heteroscedastic") {
    targets <- seq_len(ncol(draw) / 2)
    noise <- stats::rnorm(nrow(draw) * length(targets))
    return(draw[, targets, drop = FALSE] + sqrt(draw[, -targets, drop = FALSE]) * noise)
  }
  if (object$likelihood == "multilabel") return(+(stats::runif(length(draw)) < draw))
  number <- if (object$likelihood == "binary") {
    as.integer(stats::runif(nrow(draw)) < draw[, 1])
  } else {
    cumulated <- draw %*% upper.tri(diag(ncol(draw)), diag = TRUE)
    pmin(rowSums(stats::runif(nrow(draw)) > cumulated), ncol(draw) - 1)
  }
  if (is.null(object$levels)) number else factor(object$levels[number + 1], levels = object$levels)
}

#' Draws of the noise for rows of outputs (n x C): each output has its own, or all the same.
#' @noRd
noise_like <- function(object, outputs) {
  sigma <- matrix(object$sigma_noise, nrow(outputs), ncol(outputs), byrow = TRUE)
  stats::rnorm(length(outputs)) * sigma
}
