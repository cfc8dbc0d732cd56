#' Laplace approximation of a trained neural network
#'
#' Makes a trained network Bayesian: a Gaussian posterior over its weights, centred at the trained values, whose
#' precision is the curvature of the loss plus a prior. The prior precision (and, in regression, the noise) is tuned by
#' default, so that `laplace(fit, x, y)` is all that is needed.
#'
#' @section Networks:
#' * An `nnet` object of package nnet. Its data is found again when it was made with a formula; `x` and `y` otherwise.
#'   The likelihood follows from how it was trained: `softmax` is classification, `entropy` is binary, anything else is
#'   regression.
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
#'   \item{sigma_noise}{standard deviation of the observations (regression)}
#'   \item{temperature}{of the likelihood}
#'   \item{tune}{`"linearized"` (the evidence of the linearised model at its own mode), `"marglik"` (at the network's
#'     weights), `"grid"` (held-out likelihood, needs `validation`), `"none"`}
#'   \item{prior_structure}{what is tuned: `"scalar"`, `"layerwise"`, `"diagonal"`}
#'   \item{seed}{for curvatures that are sampled; drawn from R's random numbers when not given}
#'   \item{engine}{`"auto"`, `"typescript"`, `"onnxruntime"`}
#'   \item{precision}{`"float32"`, `"float64"`; the network's own by default}
#'   \item{threads, batch_size, memory_limit}{of the engine}
#'   \item{architecture}{a list of layers, or the path of a JSON file of one}
#'   \item{activation}{of a plain chain of linear layers without architecture}
#'   \item{input, output}{names, when the network has several}
#' }
#'
#' @param object a network or a formula; see below.
#' @param x features: a numeric matrix or data frame with one row for each example (an array for images).
#' @param y response: a factor (or class numbers 0, 1, 2, ...) for classification, a factor with two levels, logical or
#'   0/1 for binary, a 0/1 matrix for multilabel, numbers for regression.
#' @param data a data frame. For a fit of `nnet()` with a formula: instead of the data of its call.
#' @param model the network of a formula.
#' @param likelihood `"classification"`, `"binary"`, `"multilabel"` or `"regression"`.
#' @param subset which weights: `"last_layer"`, `"all"`, names of parameters, or their numbers (from 1).
#' @param structure of the posterior precision: `"kron"` (Kronecker factors), `"full"` or `"diag"`; an error names the
#'   words that this version knows.
#' @param ... further options; see below.
#' @param validation held-out data for `tune = "grid"`: `list(x = , y = )`, or a data frame for formulas.
#' @param na.action what to do with missing values, such as [stats::na.omit()].
#' @param contrasts for factors among the predictors, as in [stats::lm()].
#' @param timeout seconds, after which the work is cancelled with an error; `NULL`: none.
#' @param progress `TRUE` for a bar (with package cli), or a function of `stage`, `done`, `total` and `message`.
#'
#' @return An object of class `laplace`. It can be saved with [saveRDS()]. Some of its elements: `likelihood`, `subset`,
#'   `structure`, `prior_precision`, `sigma_noise`, `log_marginal_likelihood`, `effective_parameters`, `levels`,
#'   `notes`.
#'
#' Errors are conditions of class `laplace_error` and a class such as `laplace_error_option` or `laplace_error_shape`.
#' @seealso [predict.laplace()], [summary.laplace()], [plot.laplace()], [laplace_metrics()], [save_laplace()],
#'   [doctor()]
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
#' layers <- list(list(type = "Linear", name = "0"), list(type = "Tanh"), list(type = "Linear", name = "1"))
#' laplace(weights, cars$speed / 10, cars$dist / 50, likelihood = "regression", architecture = layers)
laplace <- function(object, ...) UseMethod("laplace")

#' @export
laplace.default <- function(object, ...) {
  laplace_stop(
    sprintf(
      paste0(
        "An object of class %s is not a network that can be read. Give an nnet object, a model file's path (ONNX, ",
        "PyTorch state dict, safetensors, Flux), its bytes, or a named list of weights with architecture =."
      ),
      class(object)[1]
    ),
    "BAD_ARRAY"
  )
}

#' @rdname laplace
#' @export
laplace.nnet <- function(object, x, y, likelihood = NULL, subset = "last_layer", structure = "kron", ...,
                         validation = NULL, data = NULL, na.action = NULL, timeout = NULL,
                         progress = getOption("polylaplace.progress", FALSE)) {
  call <- call_of(match.call())
  refuse_multinom(object)
  warn_case_weights(object)
  options <- c(list(subset = subset, structure = structure), list(...))
  settings <- list(likelihood = likelihood, validation = validation, timeout = timeout, progress = progress)
  if (missing(x) && inherits(object, "nnet.formula")) {
    return(fit_frame(object, nnet_data(object, data, na.action), options, settings, call))
  }
  if (missing(x) || missing(y)) {
    laplace_stop("This network was not fitted with a formula: give its data, laplace(fit, x, y).", "BAD_OPTION")
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
laplace.character <- function(object, x, y, likelihood = NULL, subset = "last_layer", structure = "kron", ...,
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
laplace.formula <- function(object, data, model, likelihood = NULL, subset = "last_layer", structure = "kron", ...,
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

# --- from data to a fitted object ---

#' Fits to a matrix of features.
#' @noRd
fit_matrix <- function(network, x, y, na_action, options, settings, call) {
  x <- as_features(x)
  check_same_rows(x, y)
  complete <- complete_rows(x) & complete_rows(y)
  na_action <- omitted_rows(complete, match.fun(if (is.null(na_action)) stats::na.omit else na_action))
  if (!is.null(na_action)) {
    x <- rows_of(x, -na_action)
    y <- if (is.data.frame(y)) y[-na_action, , drop = FALSE] else rows_of(y, -na_action)
  }
  described <- list(na.action = na_action)
  validation <- settings$validation
  if (!is.null(validation)) {
    if (!is.list(validation) || is.null(validation$x) || is.null(validation$y)) {
      laplace_stop("`validation` must be list(x = , y = ).", "BAD_OPTION")
    }
    validation <- list(x = as_features(validation$x, "validation$x"), y = validation$y)
  }
  fit_network(network, x, y, validation, options, settings, described, call)
}

#' Fits to a prepared model frame.
#' @noRd
fit_frame <- function(network, prepared, options, settings, call) {
  described <- list(
    terms = prepared$terms, xlevels = prepared$xlevels, contrasts = prepared$contrasts,
    na.action = prepared$na_action, frame = prepared$frame
  )
  validation <- settings$validation
  if (!is.null(validation)) {
    if (!is.data.frame(validation)) {
      laplace_stop("`validation` must be a data frame with the columns of the formula.", "BAD_OPTION")
    }
    frame <- stats::model.frame(prepared$terms, validation, na.action = stats::na.omit, xlev = prepared$xlevels)
    held <- frame_data(frame, prepared$contrasts)
    validation <- list(x = held$x, y = held$y)
  }
  fit_network(network, prepared$x, prepared$y, validation, options, settings, described, call)
}

#' Arrays above this many bytes are sent in several messages.
#' @noRd
BATCH_BYTES <- 256 * 2^20

#' A fit of a network and data up to this size carries the network with it, in one message.
#' @noRd
ONE_MESSAGE <- 2^20

#' Bytes of the bulk data in parameters.
#' @noRd
bytes_of <- function(value) {
  if (is.raw(value)) return(length(value))
  if (is.list(value)) sum(vapply(value, bytes_of, 0)) else 0
}

fit_network <- function(network, x, y, validation, options, settings, described, call) {
  check_options(options)
  x <- in_network_order(network, x)
  if (length(dim(x)) == 2) described["features"] <- list(colnames(x))
  known <- if (inherits(network, "nnet")) nnet_levels(network)
  likelihood <- settings$likelihood
  if (is.null(likelihood) && inherits(network, "nnet")) likelihood <- nnet_likelihood(network)
  if (is.null(likelihood)) {
    laplace_stop(
      sprintf("`likelihood` must be given: one of %s.", quoted_list(LIKELIHOODS)), "BAD_OPTION",
      list(option = "likelihood")
    )
  }
  one_of(likelihood, LIKELIHOODS, "likelihood")
  response <- as_response(y, likelihood, known)
  data <- list(x = as_wire_array(x), y = as_wire_array(response$y))
  if (!is.null(validation)) {
    held <- as_response(validation$y, likelihood, response$levels)
    settings$validation <- list(x = as_wire_array(in_network_order(network, validation$x)), y = as_wire_array(held$y))
  }
  hints <- options[intersect(NETWORK_HINTS, names(options))]
  fitted <- fit_on_server(network_params(network, hints), wire_options(options, likelihood), x, data, settings)
  object <- c(
    list(call = call, levels = response$levels, labels = response$labels), described,
    list(x = x, y = y, options = options)
  )
  fitted$summary$notes <- surprising(fitted$summary$notes, network)
  result <- new_laplace(object, fitted$summary, fitted$blob, fitted$remote)
  for (note in result$notes) tell(note)
  result
}

#' That an nnet object ends in softmax or a logistic function, and what that means, is no news to who made it.
#' @noRd
surprising <- function(notes, network) {
  notes <- unlist(notes)
  if (inherits(network, "nnet")) notes[!grepl("^The (network ends in|nnet object was fitted with) ", notes)] else notes
}

fit_on_server <- function(network, options, x, data, settings) {
  server <- laplace_server()
  bytes <- length(data$x$data) + length(data$y$data)
  if (bytes + bytes_of(network) <= ONE_MESSAGE) {
    model <- list(network = network)
  } else {
    handle <- request(server, "readNetwork", c(network, list(brief = TRUE)), settings$timeout)$handle
    # The posterior does not need it.
    on.exit(free_later(server, server$generation, handle))
    model <- list(model = handle)
  }
  params <- c(model, list(options = options), if (!is.null(settings$validation)) list(validation = settings$validation))
  answer <- tryCatch(
    if (bytes <= BATCH_BYTES) {
      request(server, "fit", c(params, data), settings$timeout, settings$progress)
    } else {
      fit_in_batches(server, params, x, data$y, settings)
    },
    laplace_error_data = function(condition) stop(with_label_hint(condition, data$y))
  )
  remote <- new_remote(server, answer$handle)
  list(remote = remote, summary = answer$summary, blob = request(server, "save", list(posterior = answer$handle))$data)
}

#' Columns in the order of an nnet formula fit, which knows their names: `y ~ b + a` must not feed `a` to the input of
#' `b`.
#' @noRd
in_network_order <- function(network, x) {
  wanted <- if (inherits(network, "nnet.formula")) network$coefnames
  if (length(dim(x)) != 2 || is.null(wanted) || !setequal(wanted, colnames(x)) || anyDuplicated(wanted)) return(x)
  x[, wanted, drop = FALSE]
}

#' R counts from 1; classes are counted from 0.
#' @noRd
with_label_hint <- function(condition, y) {
  if (identical(condition$code, "BAD_LABELS") && length(y$shape) == 1 && min(from_wire_array(y)) == 1) {
    condition$message <- paste(
      condition$message, "Give `y` as a factor, or subtract 1 from class numbers that count from 1."
    )
  }
  condition
}

fit_in_batches <- function(server, params, x, y, settings, bytes = BATCH_BYTES) {
  y <- from_wire_array(y)
  fit <- request(server, "fitBegin", params, settings$timeout)$handle
  for (rows in row_batches(x, bytes)) {
    request(
      server, "fitBatch", list(fit = fit, x = as_wire_array(rows_of(x, rows)), y = as_wire_array(rows_of(y, rows))),
      settings$timeout
    )
  }
  request(server, "fitEnd", list(fit = fit), settings$timeout, settings$progress)
}

#' Row numbers in batches that can be sent at once.
#' @noRd
row_batches <- function(x, bytes = BATCH_BYTES) {
  count <- dim(x)[1]
  step <- max(1, floor(count * bytes / (8 * length(x))))
  starts <- seq(1, count, by = step)
  lapply(starts, function(start) start:min(count, start + step - 1))
}

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
    loss = summary$loss,
    prior_precision = summary$priorPrecision, prior_mean = summary$priorMean, sigma_noise = summary$sigmaNoise,
    temperature = summary$temperature,
    tuned = summary$tuned, effective_parameters = summary$effectiveParameters, engine = summary$engine,
    precision = summary$precision,
    seed = summary$seed, notes = as.character(unlist(summary$notes)), digest = summary$digest
  )
  structure(c(object, numbers, list(blob = blob, remote = remote)), class = "laplace")
}

parameter_table <- function(parameters) {
  data.frame(
    name = vapply(parameters, function(entry) entry$name, ""),
    shape = vapply(parameters, function(entry) paste(unlist(entry$shape), collapse = "x"), ""),
    size = vapply(parameters, function(entry) as.double(entry$size), 0),
    stringsAsFactors = FALSE
  )
}

# --- files ---

#' Posteriors in files
#'
#' The file is the same in Node, Python and R: a posterior that was fitted in one of them is used in another. Within R,
#' [saveRDS()] keeps more: factor levels, the formula and the training data.
#'
#' @param object a fitted `laplace` object.
#' @param path of the file.
#' @param network whether to keep the network in the file.
#' @param levels class names, which the file does not hold.
#' @param model the network (path, bytes, `nnet` object) of a file that was saved without it.
#' @return `save_laplace()` returns `path`, invisibly; `load_laplace()` an object of class `laplace` without training
#'   data.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' path <- save_laplace(laplace(fit), tempfile(fileext = ".posterior"))
#' predict(load_laplace(path), 0.3)
save_laplace <- function(object, path, network = TRUE) {
  data <- if (network) object$blob else ask(object, "save", list(network = FALSE))$data
  writeBin(data, path)
  invisible(path)
}

#' @rdname save_laplace
#' @export
load_laplace <- function(path, model = NULL, levels = NULL) {
  server <- laplace_server()
  blob <- if (is.raw(path)) path else read_bytes(path)
  params <- list(data = blob)
  if (!is.null(model)) params$model <- request(server, "readNetwork", network_params(model))$handle
  answer <- request(server, "load", params)
  # Without its network the blob alone could not be loaded again.
  if (!is.null(model)) blob <- request(server, "save", list(posterior = answer$handle))$data
  new_laplace(list(call = match.call(), levels = levels), answer$summary, blob, new_remote(server, answer$handle))
}
