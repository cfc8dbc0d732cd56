# `laplace()`: from whatever a network and its data are given as to a fit.

#' Laplace approximation of a trained neural network
#'
#' Makes a trained network Bayesian: a Gaussian posterior over its weights, whose precision is the curvature of the loss
#' plus a prior. `laplace(fit, x, y)` is all that is needed: with no option set the training rows themselves say how
#' far the network is to be trusted, and the printed result says what was chosen and why.
#'
#' @section What is chosen when nothing is:
#' The network is compared with its linear model, a regression on the derivatives of its outputs by its weights, which
#' is cheap to fit with any row left out. A network that fits rows it has seen far better than the linear model predicts
#' rows it has not seen has learnt them by heart; the answer is then shared between the two, by weights that follow from
#' the ratio `r` of the two scores. Small networks get a posterior over all weights (`structure` is `"lowrank"` then),
#' large ones over the last layer. In regression each output gets its own noise, and the mean is halfway between the
#' two, or the linear model's alone where the network's errors on rows it has seen are larger than the linear model's on
#' rows it has not (`r > 1`). The fit warns (class `laplace_warning_mismatch`) when the network and the data contradict
#' each other: labels coded in another order, targets on another scale, a network that was not trained.
#'
#' @section Held-out rows:
#' `validation` gives rows that the network has not seen in training: `list(x = , y = )`, a data frame for formulas, or
#' a share of the given rows such as `0.1` (drawn by `seed`). Prior precision, the share of the linear model, and, in
#' regression, the noise are then chosen together by their likelihood (`tune = "validated"`).
#' `calibrate = "temperature"` gives temperature scaling on the same rows instead, the usual baseline. A share is held
#' out of the fit of the posterior, not of the training of the network, which is over: it is honest only where the
#' network has seen none of the given rows.
#'
#' @section Networks:
#' * An `nnet` object of package nnet. Its data is found again when it was made with a formula; `x` and `y` otherwise.
#'   The likelihood follows from how it was trained: `softmax` is classification, `entropy` is binary, anything else is
#'   regression. Weights that a `mask` of nnet() held fixed count as parameters, which a warning says.
#' * A `neuralnet` object of package neuralnet, with the activation "logistic" or "tanh": its first repetition, as its
#'   own predictions. Its data are those that it keeps; cross-entropy is binary, squared errors are regression.
#' * The path of a model file (or its bytes, a raw vector): ONNX, PyTorch state dict, safetensors, Flux BSON. Files that
#'   hold weights only need `architecture`.
#' * A named list of weight arrays with `architecture`. Names and shapes are torch's: a linear layer `"0"` has
#'   `"0.weight"` (outputs x inputs) and `"0.bias"`.
#' * A formula, with any of these as `model`. Factors among the predictors are coded as in [stats::lm()], without
#'   intercept.
#'
#' @section Options:
#' \describe{
#'   \item{curvature}{`"ggn"`, the generalised Gauss-Newton matrix (an error names the words that this version knows)}
#'   \item{kfac_approx}{`"expand"`, `"reduce"`: weight sharing in Kronecker factors}
#'   \item{prior_precision}{a number, one for each tensor, or one for each parameter: nothing is tuned then}
#'   \item{prior_mean}{a number, or one for each parameter}
#'   \item{sigma_noise}{standard deviation of the observations (regression): one number, or one for each output (a
#'     vector or a list); a matrix is the covariance of noises that are correlated, `"full"` the one that
#'     maximises the evidence}
#'   \item{temperature}{of the likelihood}
#'   \item{label_smoothing}{of classes and labels: the share of label smoothing that the network was trained with; loss
#'     and evidence are those of the smoothed labels}
#'   \item{class_weight}{how much each class counts: `"balanced"`, or one number a class, in the order of the levels or
#'     named by them; the prior is then tuned by `"marglik"` or `"grid"`}
#'   \item{tune}{`"auto"` (what the training rows say, or held-out ones where there are any), `"validated"` (by held-out
#'     rows, needs `validation`), `"linearized"` (the evidence of the linear model at its own mode), `"marglik"` (at the
#'     network's weights), `"grid"` (prior precision by held-out likelihood, needs `validation`), `"none"`}
#'   \item{calibrate}{`"temperature"`: temperature scaling on the held-out rows as the answer}
#'   \item{prior_structure}{what is tuned: `"scalar"`, `"layerwise"`, `"diagonal"`}
#'   \item{seed}{for shares of held-out rows, samples of rows and curvatures that are sampled}
#'   \item{engine}{`"auto"`, `"typescript"`, `"onnxruntime"`}
#'   \item{precision}{`"float32"`, `"float64"`; the network's own by default}
#'   \item{threads, batch_size, memory_limit}{of the engine}
#'   \item{architecture}{a list of layers, or the path of a JSON file of one}
#'   \item{activation}{of a plain chain of linear layers without architecture}
#'   \item{input, output}{names, when the network has several}
#'   \item{positions, class_axis}{of networks that answer at several positions of an example: `"each"` (a term of the
#'     likelihood), `"first"`, `"last"` or `"mean"`; the axis that holds the classes, counted from 0}
#'   \item{last_layer_name}{the layer that `subset = "last_layer"` means: the name of a module, of a parameter or of a
#'     node; the last one by default}
#'   \item{parameters}{the tensors that are parameters: names, globs such as `"*lora*"`, numbers from 1; those of the
#'     network by default}
#'   \item{freeze}{parameters that keep their values and take no part: names, globs, numbers}
#'   \item{weights}{how often each row counts: 2 is the row twice, 0 no row; whole numbers where the fit chooses the
#'     posterior}
#'   \item{blocks}{of `structure = "blockdiag"`: a block a `"layer"` (its weight and bias together, the default), or a
#'     `"tensor"`}
#'   \item{rank}{of `structure = "lowrank"` at the network's weights: a number of eigenvectors, or below 1 the share of
#'     the trace of H that they have; without it `"lowrank"` is the linear model over all weights}
#'   \item{n_subset}{of `structure = "functional"`: examples drawn by `seed` whose rows of H are kept; all by default}
#'   \item{independent_outputs}{of `structure = "functional"`: `TRUE` gives each output a process of its own}
#'   \item{nystroem}{of `structure = "functional"`: `TRUE` takes the rows of H of all examples, in the span of the
#'     Jacobians of `n_subset` of them; directions outside of it have no variance}
#'   \item{samples}{of `structure = "samples"`: draws of the weights that are solved for; 64 by default}
#'   \item{draws}{labels that `curvature = "mc_fisher"` draws for each row, by `seed`; 1 by default}
#'   \item{mask}{of networks with several positions: which labels count, `TRUE` or `FALSE` in the shape of `y`; the
#'     same as labels of -100}
#'   \item{model_name}{which network, when a file holds several: a key of a checkpoint, a path}
#'   \item{input_size}{the shape of one example, where a file leaves it open}
#'   \item{dimensions}{a named list of lengths of axes that an ONNX file leaves open}
#'   \item{external_data}{the folder with the weights of an ONNX model, or a named list of raw vectors; what lies
#'     beside a path is found without it}
#' }
#'
#' @param object a network or a formula; see below.
#' @param x features: a numeric matrix or data frame with one row for each example (an array for images). For a network
#'   of several inputs a named list with such an array for each, or a data frame with a column for each.
#' @param y response: a factor (or class numbers 0, 1, 2, ...) for classification, a factor with two levels, logical or
#'   0/1 for binary, a 0/1 matrix for multilabel, numbers for regression.
#' @param data a data frame. For a fit of `nnet()` with a formula: instead of the data of its call.
#' @param model the network of a formula.
#' @param likelihood `"classification"`, `"binary"`, `"multilabel"`, `"regression"`, `"heteroscedastic"` (outputs: the
#'   means, then as many logarithms of variances) or `"poisson"` (outputs: logarithms of rates).
#' @param subset which weights: `"auto"` (all where their number is small enough, otherwise the last layer's),
#'   `"last_layer"`, `"all"`; or a subnetwork: names and globs of parameters or names of modules, numbers of parameters
#'   (from 1), or `list(count = 100, by = "magnitude")` (`"random"` with a `seed`, or a score for each parameter).
#' @param structure of the posterior precision: `"auto"`, `"lowrank"` (the linear model over all weights), `"kron"`
#'   (Kronecker factors), `"ekfac"` (their eigenbases, with eigenvalues of their own), `"full"`, `"blockdiag"` (all
#'   covariances within each layer), `"diag"`, `"functional"` (rows of a part of the data) or `"samples"` (draws of the
#'   weights, of networks whose covariance can never be stored); an error names the words that this version knows.
#' @param ... further options; see below.
#' @param validation rows that the network has not seen: `list(x = , y = )`, a data frame for formulas, or a share of
#'   the given rows between 0 and 1, held out of the posterior's fit: for rows that the network has not seen.
#' @param na.action what to do with missing values, such as [stats::na.omit()].
#' @param contrasts for factors among the predictors, as in [stats::lm()].
#' @param timeout seconds, after which the work is cancelled with an error; `NULL`: none.
#' @param progress `TRUE` for a bar (with package cli), or a function of `stage`, `done`, `total` and `message`,
#'   which says how long the stage will still take, where that is known.
#'
#' @return An object of class `laplace`. It can be saved with [saveRDS()]. Some of its elements: `likelihood`, `subset`,
#'   `structure`, `prior_precision`, `sigma_noise` (one for each output where there are several),
#'   `log_marginal_likelihood` (at the network's weights), `log_evidence_at_mode` (of the linear model at its own mode),
#'   `effective_parameters`, `levels`, `notes`, `choice` (what was chosen when nothing was: `explanation`, `reason`,
#'   `prior_precision`, `r`, `s`, `link`, `network_weight`, `halfway_weight`, `linear_weight`, `network_nll`,
#'   `leave_one_out_nll`, `held_out` with the scores on held-out rows, and so on) and `training` (scores of network
#'   and posterior on the training rows).
#'
#' Errors are conditions of class `laplace_error` and a class such as `laplace_error_option` or `laplace_error_shape`.
#' @seealso [predict.laplace()], [conformalize()], [compare()], [summary.laplace()], [plot.laplace()],
#'   [laplace_metrics()], [save_laplace()], [doctor()]
#' @references Daxberger et al. (2021) Laplace Redux: Effortless Bayesian Deep Learning. NeurIPS 34.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(Species ~ ., iris, size = 4, decay = 0.01, trace = FALSE)
#' la <- laplace(fit)
#' la
#' head(predict(la, iris, type = "prob"))
#'
#' # The same with a matrix of features
#' la <- laplace(fit, as.matrix(iris[1:4]), iris$Species, structure = "full")
#'
#' # Weights from anywhere
#' weights <- list(
#'   "0.weight" = matrix(c(0.3, -0.2), 2), "0.bias" = c(0, 0.1),
#'   "1.weight" = matrix(c(1, 2), 1), "1.bias" = 0
#' )
#' layers <- list(
#'   list(type = "Linear", name = "0"), list(type = "Tanh"), list(type = "Linear", name = "1")
#' )
#' laplace(weights, cars$speed / 10, cars$dist / 50, likelihood = "regression", architecture = layers)
#' \dontshow{close(laplace_server())}
laplace <- function(object, ...) UseMethod("laplace")

#' @export
laplace.default <- function(object, ...) {
  laplace_stop(
    sprintf("An object of class %s is not a network that can be read. %s", class(object)[1], way_out_of(object)),
    "BAD_ARRAY"
  )
}

#' @rdname laplace
#' @export
laplace.nnet <- function(object, x, y, likelihood = NULL, subset = "auto", structure = "auto", ...,
                         validation = NULL, data = NULL, na.action = NULL, timeout = NULL,
                         progress = getOption("polylaplace.progress", FALSE)) {
  call <- call_of(match.call())
  refuse_multinom(object)
  warn_case_weights(object)
  warn_of_mask(object, subset)
  options <- c(list(subset = subset, structure = structure), list(...))
  settings <- list(likelihood = likelihood, validation = validation, timeout = timeout, progress = progress)
  if (missing(x) && inherits(object, "nnet.formula")) {
    return(fit_frame(object, nnet_data(object, data, na.action), options, settings, call))
  }
  if (missing(x) || missing(y)) {
    by_formula <- if (inherits(object, "nnet.formula")) ", or laplace(fit, data = frame)" else ""
    laplace_stop(paste0("The data of this network are missing: give laplace(fit, x, y)", by_formula, "."), "BAD_OPTION")
  }
  fit_matrix(object, x, y, na.action, options, settings, call)
}

#' The call as the user wrote it, without the name of the method.
#' @noRd
call_of <- function(call) {
  call[[1]] <- quote(laplace)
  call
}

warn_case_weights <- function(object) {
  if (!is.null(object$call$weights)) {
    laplace_warn("The network was trained with case weights; the posterior counts every example once.")
  }
}

#' @rdname laplace
#' @export
laplace.character <- function(object, x, y, likelihood = NULL, subset = "auto", structure = "auto", ...,
                              validation = NULL, na.action = NULL, timeout = NULL,
                              progress = getOption("polylaplace.progress", FALSE)) {
  call <- call_of(match.call())
  if (missing(x) || missing(y)) {
    laplace_stop("Give the training data: laplace(model, x, y, likelihood = ).", "BAD_OPTION")
  }
  options <- c(list(subset = subset, structure = structure), list(...))
  fit_matrix(
    object, x, y, na.action, options,
    list(likelihood = likelihood, validation = validation, timeout = timeout, progress = progress), call
  )
}

#' @rdname laplace
#' @export
laplace.raw <- laplace.character

#' @rdname laplace
#' @export
laplace.list <- laplace.character

#' @rdname laplace
#' @export
laplace.formula <- function(object, data, model, likelihood = NULL, subset = "auto", structure = "auto", ...,
                            validation = NULL, na.action = getOption("na.action"), contrasts = NULL, timeout = NULL,
                            progress = getOption("polylaplace.progress", FALSE)) {
  call <- call_of(match.call())
  if (missing(model)) laplace_stop("Give the trained network: laplace(y ~ ., data, model = ).", "BAD_OPTION")
  if (missing(data)) data <- environment(object)
  prepared <- formula_data(object, data, na.action, contrasts)
  options <- c(list(subset = subset, structure = structure), list(...))
  fit_frame(
    model, prepared, options,
    list(likelihood = likelihood, validation = validation, timeout = timeout, progress = progress), call
  )
}
