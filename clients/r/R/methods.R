# The generics of stats for fitted objects.

#' Methods for fitted objects
#'
#' @param object a fitted `laplace` object.
#' @param ... arguments to change, for `update()`; not used otherwise.
#' @name laplace-methods
#' @return
#' * `coef()` the mean of the posterior (the trained weights), `vcov()` its covariance, `confint()` intervals.
#' * `logLik()` the **approximate log marginal likelihood** at the network's weights, with the number of parameters as
#'   `df`, not the log likelihood at the weights; it already weighs fit against complexity, so `AIC()` and `BIC()` of
#'   it warn. Labels that are not those of the training make it far smaller. That of the linear model at its own mode
#'   is the element `log_evidence_at_mode`.
#' * `nobs()` the number of examples.
#' * `fitted()` and `residuals()`: predictions for the training data, and the response minus these (indicators minus
#'   probabilities for classes).
#' * `sigma()` the standard deviation of a regression's noise, one for each output.
#' * `model.frame()` the rows of a fit by formula.
#' * `update()` fits again with other arguments.
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' la <- laplace(fit, structure = "full")
#' logLik(la)
#' confint(la)
#' logLik(update(la, structure = "diag"))
#' \dontshow{close(laplace_server())}
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
coef.laplace <- function(object, ...) {
  check_no_more(..., allowed = "complete")
  stats::setNames(posterior_value(object, "mean"), parameter_names(object))
}

#' @rdname laplace-methods
#' @export
vcov.laplace <- function(object, ...) {
  check_no_more(..., allowed = "complete")
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
  check_no_more(...)
  check_level(level)
  estimate <- stats::coef(object)
  error <- sqrt(posterior_value(object, "posteriorVariance"))
  if (missing(parm)) parm <- names(estimate)
  check_that(is.character(parm) || is.numeric(parm), "parm", "names or numbers of parameters")
  if (is.numeric(parm)) {
    check_that(
      all(parm %in% seq_along(estimate)), "parm", sprintf("whole numbers from 1 to %d, or names", length(estimate))
    )
    parm <- names(estimate)[parm]
  }
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
  check_no_more(...)
  structure(object$log_marginal_likelihood, df = object$parameter_count, nobs = object$nobs, class = "logLik")
}

#' @rdname laplace-methods
#' @param k penalty for each parameter, as in [stats::AIC()].
#' @export
AIC.laplace <- function(object, ..., k = 2) {
  check_no_more(...)
  check_that(is.numeric(k) && length(k) == 1 && is.finite(k), "k", "one number")
  laplace_warn("The log marginal likelihood already weighs fit against complexity: compare logLik() itself.")
  -2 * as.numeric(stats::logLik(object)) + k * object$parameter_count
}

#' @rdname laplace-methods
#' @export
BIC.laplace <- function(object, ...) {
  check_no_more(...)
  laplace_warn("The log marginal likelihood already weighs fit against complexity: compare logLik() itself.")
  -2 * as.numeric(stats::logLik(object)) + log(object$nobs) * object$parameter_count
}

#' @rdname laplace-methods
#' @export
nobs.laplace <- function(object, ...) {
  check_no_more(..., allowed = "use.fallback")
  object$nobs
}

#' @rdname laplace-methods
#' @export
fitted.laplace <- function(object, ...) {
  check_no_more(...)
  restored(object, stats::predict(object))
}

#' @rdname laplace-methods
#' @export
residuals.laplace <- function(object, ...) {
  check_no_more(...)
  restored(object, observed(object) - stats::predict(object))
}

#' @rdname laplace-methods
#' @export
sigma.laplace <- function(object, ...) {
  check_no_more(..., allowed = "use.fallback")
  if (object$likelihood != "regression") {
    laplace_stop(
      sprintf("sigma() is the noise of a regression, and the likelihood is %s.", object$likelihood), "BAD_COMBINATION"
    )
  }
  object$sigma_noise
}

#' @rdname laplace-methods
#' @param formula a fitted `laplace` object, too.
#' @export
model.frame.laplace <- function(formula, ...) {
  check_no_more(...)
  if (is.null(formula$frame)) laplace_stop("This object was not fitted with a formula.", "BAD_OPTION")
  formula$frame
}

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
