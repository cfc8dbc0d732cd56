# Methods for the generics of package insight (of easystats), which has defaults for the others.

#' Methods for insight
#'
#' With package insight `find_formula()`, `find_response()`, `find_predictors()`, `get_data()`, `get_response()`,
#' `get_predictors()`, `model_info()`, `link_inverse()`, `link_function()`, `find_algorithm()`, `get_parameters()`,
#' `get_varcov()` and `n_obs()` know fitted objects.
#'
#' A fit without a formula has the formula `y ~ x1 + x2 + ...`, of the names of its features. `get_data()` gives the
#' data that a formula was fitted to, where it still is where the call found it, else the model frame.
#' `model_info()` is that of a linear model, of `glm()` or of `nnet::multinom()` with the same likelihood: the posterior
#' is Gaussian and has no draws, so that `is_bayesian` is `FALSE`.
#' @name laplace-insight
#' @keywords internal
NULL

# insight::find_formula
find_formula.laplace <- function(x, verbose = TRUE, ...) {
  terms <- if (inherits(x$terms, "formula")) {
    stats::formula(x$terms)
  } else if (!is.null(x$x)) {
    stats::reformulate(sprintf("`%s`", names(training_table(x))), response = "y")
  }
  if (is.null(terms)) return(NULL)
  structure(list(conditional = terms), class = c("insight_formula", "list"))
}

# insight::get_data
get_data.laplace <- function(x, source = "environment", verbose = TRUE, ...) {
  if (inherits(x$terms, "formula")) return(formula_variables(x))
  if (is.null(x$x)) return(NULL)
  table <- training_table(x)
  data.frame(y = if (is.matrix(x$y) && ncol(x$y) > 1) I(x$y) else as.vector(x$y), table, check.names = FALSE)
}

#' The variables of a formula as they were given, without the rows that were left out; else the model frame.
#' @noRd
formula_variables <- function(x) {
  wanted <- all.vars(stats::formula(x$terms))
  given <- tryCatch(eval(x$call$data, environment(x$terms)), error = function(condition) NULL)
  rows <- rownames(x$frame)
  if (is.data.frame(given) && all(wanted %in% names(given)) && all(rows %in% rownames(given))) {
    return(given[rows, wanted, drop = FALSE])
  }
  training_table(x)
}

# insight::model_info
model_info.laplace <- function(x, verbose = TRUE, ...) {
  info <- insight::model_info(stats::lm(y ~ x, data.frame(x = c(0, 1, 2), y = c(0, 1, 0))))
  kinds <- switch(
    x$likelihood,
    binary = c("is_binomial", "is_bernoulli", "is_logit"),
    multilabel = c("is_binomial", "is_logit"),
    classification = c("is_binomial", "is_logit", "is_multinomial"),
    poisson = c("is_count", "is_poisson"),
    "is_linear"
  )
  info$is_linear <- FALSE
  info[kinds] <- TRUE
  info$is_multivariate <- x$likelihood %in% c("regression", "multilabel") && x$outputs > 1
  info$family <- switch(
    x$likelihood, regression = , heteroscedastic = "gaussian", poisson = "poisson", custom = "custom", "binomial"
  )
  info$link_function <- link_of(x)$name
  info$n_obs <- as.integer(x$nobs)
  info
}

#' The link between outputs and means; NULL in place of functions of a softmax, which has none of single outputs.
#' @noRd
link_of <- function(x) {
  if (x$likelihood == "classification") return(list(name = "logit"))
  stats::make.link(switch(x$likelihood, binary = , multilabel = "logit", poisson = "log", "identity"))
}

# insight::link_inverse
link_inverse.laplace <- function(x, ...) link_of(x)$linkinv

# insight::link_function
link_function.laplace <- function(x, ...) link_of(x)$linkfun

# insight::find_algorithm
find_algorithm.laplace <- function(x, verbose = TRUE, ...) {
  list(algorithm = "Laplace approximation", structure = x$structure, subset = x$subset)
}

INSIGHT_GENERICS <- c("find_formula", "get_data", "model_info", "link_inverse", "link_function", "find_algorithm")
