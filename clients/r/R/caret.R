# A model of package caret: a network of package nnet with its posterior.

#' A network with a posterior as a model of caret
#'
#' `caret::train(x, y, method = caret_laplace())` trains networks of package nnet for the sizes and decays that it
#' compares, as caret's own `"nnet"` does, and makes each Bayesian: classes, probabilities and means are then those of
#' the posterior, and `$finalModel` is a `laplace` object with its intervals and scores.
#'
#' Arguments of [nnet::nnet()], such as `maxit` and `trace`, go to `train()`, which hands them on.
#'
#' @param ... options of [laplace()], such as `subset`, `structure` and `prior_precision`.
#' @return A list as `method` of `caret::train()` takes it. Without a grid of its own, sizes 1, 3, 5, ... and decays 0,
#'   0.1, 0.001, ... are tried.
#' @export
#' @examplesIf laplace_available() && all(vapply(c("nnet", "caret"), requireNamespace, NA, quietly = TRUE))
#' set.seed(1)
#' fit <- caret::train(
#'   iris[1:4], iris$Species,
#'   method = caret_laplace(prior_precision = 1, structure = "kron"), trace = FALSE,
#'   preProcess = "scale", tuneGrid = data.frame(size = 3, decay = 0.01),
#'   trControl = caret::trainControl("cv", number = 2)
#' )
#' predict(fit, iris[c(1, 60, 120), 1:4], type = "prob")
#' \dontshow{close(laplace_server())}
caret_laplace <- function(...) {
  options <- list(...)
  check_options(options[setdiff(names(options), c("likelihood", "validation", "timeout", "progress"))])
  list(
    label = "Neural network with a Laplace posterior", library = c("nnet", "polylaplace"),
    type = c("Classification", "Regression"), loop = NULL,
    parameters = data.frame(
      parameter = c("size", "decay"), class = "numeric", label = c("#Hidden Units", "Weight Decay")
    ),
    grid = caret_grid,
    fit = function(x, y, wts, param, lev, last, classProbs, ...) {
      caret_fit(as.matrix(x), y, wts, param, options, ...)
    },
    predict = function(modelFit, newdata, submodels = NULL) {
      unname(stats::predict(modelFit, as.matrix(newdata), type = if (has_numbers(modelFit)) "response" else "class"))
    },
    prob = function(modelFit, newdata, submodels = NULL) {
      as.data.frame(stats::predict(modelFit, as.matrix(newdata), type = "prob"))
    },
    predictors = function(x, ...) x$features, levels = function(x) x$obsLevels,
    tags = c("Neural Network", "Bayesian Model", "L2 Regularization"),
    # The simplest first.
    sort = function(x) x[order(x$size, -x$decay), ]
  )
}

#' Sizes and decays that are compared where none are given.
#' @noRd
caret_grid <- function(x, y, len = NULL, search = "grid") {
  if (search != "grid") {
    return(data.frame(size = sample.int(20, len, replace = TRUE), decay = 10^stats::runif(len, -5, 1)))
  }
  expand.grid(size = 2 * seq_len(len) - 1, decay = c(0, 10^seq(-1, -4, length.out = len - 1)))
}

#' The posterior of a network that is trained here.
#' @noRd
caret_fit <- function(x, y, weights, param, options, ...) {
  if (!is.null(weights)) {
    laplace_stop("caret_laplace() takes no case weights: laplace() counts every row once.", "BAD_OPTION")
  }
  classes <- is.factor(y)
  network <- nnet::nnet(
    x, if (classes) nnet::class.ind(y) else y, size = param$size, decay = param$decay, softmax = classes,
    linout = !classes, ...
  )
  do.call(laplace, c(list(network, x, y), options))
}
