# The generics of stats for fitted objects.

#' Methods for fitted objects
#'
#' @param object a fitted `laplace` object.
#' @param ... arguments to change, for `update()`; not used otherwise.
#' @name laplace-methods
#' @return
#' * `coef()` the mean of the posterior (the trained weights), `vcov()` its covariance, `confint()` intervals.
#' * `logLik()` the **approximate log marginal likelihood** with the number of parameters as `df`, not the log
#'   likelihood at the weights; it already weighs fit against complexity, so `AIC()` and `BIC()` of it warn.
#' * `nobs()` the number of examples.
#' * `fitted()` and `residuals()`: predictions for the training data, and the response minus these (indicators minus
#'   probabilities for classes).
#' * `update()` fits again with other arguments.
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' la <- laplace(fit, structure = "full")
#' logLik(la)
#' confint(la)
#' logLik(update(la, structure = "diag"))
NULL

#' Names of single parameters: tensor and indices, counted from 1.
#' @noRd
parameter_names <- function(object) {
  one <- function(name, shape) {
    extents <- as.integer(strsplit(shape, "x", fixed = TRUE)[[1]])
    if (length(extents) == 0) return(name)
    # The server's tensors are row-major: the last index runs fastest.
    indices <- rev(expand.grid(lapply(rev(extents), seq_len)))
    sprintf("%s[%s]", name, do.call(paste, c(unname(indices), sep = ",")))
  }
  names <- unlist(Map(one, object$parameters$name, object$parameters$shape), use.names = FALSE)
  if (length(names) == object$parameter_count) names else paste0("theta[", seq_len(object$parameter_count), "]")
}

#' A named value of the posterior.
#' @noRd
posterior_value <- function(object, name) ask(object, "get", list(names = list(name)))[[name]]

#' @rdname laplace-methods
#' @export
coef.laplace <- function(object, ...) stats::setNames(posterior_value(object, "mean"), parameter_names(object))

#' @rdname laplace-methods
#' @export
vcov.laplace <- function(object, ...) {
  covariance <- posterior_value(object, "posteriorCovariance")
  names <- parameter_names(object)
  dimnames(covariance) <- list(names, names)
  covariance
}

#' @rdname laplace-methods
#' @param parm names or numbers of parameters; all by default.
#' @param level of the intervals.
#' @export
confint.laplace <- function(object, parm, level = 0.95, ...) {
  check_level(level)
  estimate <- stats::coef(object)
  error <- sqrt(posterior_value(object, "posteriorVariance"))
  if (missing(parm)) parm <- names(estimate)
  if (is.numeric(parm)) parm <- names(estimate)[parm]
  chosen <- match(parm, names(estimate))
  if (anyNA(chosen)) {
    laplace_stop(
      sprintf("There is no parameter %s.", quoted_list(parm[is.na(chosen)])), "BAD_OPTION", list(option = "parm")
    )
  }
  tails <- c((1 - level) / 2, 1 - (1 - level) / 2)
  limits <- estimate[chosen] + outer(error[chosen], stats::qnorm(tails))
  dimnames(limits) <- list(parm, paste(format(100 * tails, trim = TRUE, digits = 3), "%"))
  limits
}

#' @rdname laplace-methods
#' @export
logLik.laplace <- function(object, ...) {
  structure(object$log_marginal_likelihood, df = object$parameter_count, nobs = object$nobs, class = "logLik")
}

#' @rdname laplace-methods
#' @param k penalty for each parameter, as in [stats::AIC()].
#' @export
AIC.laplace <- function(object, ..., k = 2) {
  laplace_warn("The log marginal likelihood already weighs fit against complexity: compare logLik() itself.")
  -2 * as.numeric(stats::logLik(object)) + k * object$parameter_count
}

#' @rdname laplace-methods
#' @export
BIC.laplace <- function(object, ...) {
  laplace_warn("The log marginal likelihood already weighs fit against complexity: compare logLik() itself.")
  -2 * as.numeric(stats::logLik(object)) + log(object$nobs) * object$parameter_count
}

#' @rdname laplace-methods
#' @export
nobs.laplace <- function(object, ...) object$nobs

#' @rdname laplace-methods
#' @export
fitted.laplace <- function(object, ...) restored(object, stats::predict(object))

#' @rdname laplace-methods
#' @export
residuals.laplace <- function(object, ...) restored(object, observed(object) - stats::predict(object))

#' Rows that na.exclude left out come back as NA.
#' @noRd
restored <- function(object, values) {
  if (inherits(object$na.action, "exclude")) stats::napredict(object$na.action, values) else values
}

#' The response as numbers in the shape of predict(type = "response").
#' @noRd
observed <- function(object) {
  if (is.null(object$y)) laplace_stop("This object holds no training data.", "NOT_FITTED")
  y <- as_response(object$y, object$likelihood, object$levels)$y
  if (object$likelihood == "classification") return(+outer(as.vector(y), seq_len(object$outputs) - 1, "=="))
  if (ncol(y) == 1) y[, 1] else y
}

#' @rdname laplace-methods
#' @param formula. changes to the formula, for fits by formula.
#' @param evaluate whether to fit, or to give the call.
#' @export
update.laplace <- function(object, formula., ..., evaluate = TRUE) {
  call <- object$call
  if (is.null(call) || identical(call[[1]], as.name("load_laplace"))) {
    laplace_stop("This object was not fitted here: there is no call to update.", "NOT_FITTED")
  }
  if (!missing(formula.)) {
    if (is.null(object$terms) || !inherits(object$terms, "formula")) {
      laplace_stop("This object was not fitted with a formula.", "BAD_OPTION")
    }
    call$object <- stats::update(stats::formula(object$terms), formula.)
  }
  call[[1]] <- quote(polylaplace::laplace)
  changes <- match.call(expand.dots = FALSE)$...
  for (name in names(changes)) call[[name]] <- changes[[name]]
  if (evaluate) eval(call, parent.frame()) else call
}

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
simulate.laplace <- function(object, nsim = 1, seed = NULL, newdata, ...) {
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

#' One draw of responses, given one draw of means or probabilities (n x C).
#' @noRd
simulated <- function(object, draw) {
  if (object$likelihood == "regression") return(draw + stats::rnorm(length(draw), sd = object$sigma_noise))
  if (object$likelihood == "multilabel") return(+(stats::runif(length(draw)) < draw))
  number <- if (object$likelihood == "binary") {
    as.integer(stats::runif(nrow(draw)) < draw[, 1])
  } else {
    cumulated <- draw %*% upper.tri(diag(ncol(draw)), diag = TRUE)
    pmin(rowSums(stats::runif(nrow(draw)) > cumulated), ncol(draw) - 1)
  }
  if (is.null(object$levels)) number else factor(object$levels[number + 1], levels = object$levels)
}

#' Measures of the quality of predictions
#'
#' @param object a fitted `laplace` object.
#' @param newdata data to predict; the training data when it is left out.
#' @param y the true responses for `newdata`; taken from it for fits by formula.
#' @param ... passed to [predict.laplace()], such as `link`.
#' @return A named vector: `nll` (negative log likelihood of the predictions), and `accuracy`, `ece` (expected
#'   calibration error), `brier`, or `rmse`, `crps`.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' train <- sample(150, 100)
#' fit <- nnet::nnet(Species ~ ., iris[train, ], size = 4, trace = FALSE)
#' laplace_metrics(laplace(fit), iris[-train, ])
laplace_metrics <- function(object, newdata, y, ...) {
  rows <- if (missing(newdata)) training_rows(object) else new_features(object, newdata, stats::na.omit)
  if (missing(y)) y <- if (missing(newdata)) object$y else response_of(object, newdata, rows)
  truth <- as_response(y, object$likelihood, object$levels)$y
  how <- utils::modifyList(list(link = "probit", predictive = "glm"), list(...))
  answer <- predicted(object, rows$x, how)
  params <- list(likelihood = object$likelihood, y = as_wire_array(truth), sigmaNoise = object$sigma_noise)
  for (name in intersect(c("mean", "variance", "probabilities"), names(answer))) {
    params[[name]] <- as_wire_array(answer[[name]])
  }
  result <- request(laplace_server(), "metrics", params[!vapply(params, is.null, NA)])
  unlist(result[vapply(result, function(value) is.numeric(value) && length(value) == 1, NA)])
}

response_of <- function(object, newdata, rows) {
  if (is.null(object$terms)) laplace_stop("Give the true responses: laplace_metrics(object, newdata, y).", "BAD_OPTION")
  frame <- stats::model.frame(object$terms, newdata, na.action = stats::na.omit, xlev = object$xlevels)
  stats::model.response(frame)
}
