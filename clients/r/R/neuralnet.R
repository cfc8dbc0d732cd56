# Networks of package neuralnet: their weights as layers, their data as they keep them.

#' @rdname laplace
#' @export
laplace.neuralnet <- function(object, x, y, likelihood = NULL, subset = "auto", structure = "auto", ...,
                              validation = NULL, na.action = NULL, timeout = NULL,
                              progress = getOption("polylaplace.progress", FALSE)) {
  call <- call_of(match.call())
  if (is.null(object$weights)) {
    laplace_stop("The neuralnet object has no weights: its training did not converge.", "NOT_FITTED")
  }
  chain <- neuralnet_chain(object)
  if (missing(x)) x <- object$covariate
  if (missing(y)) y <- drop(object$response)
  if (is.null(likelihood)) likelihood <- neuralnet_likelihood(object)
  options <- c(list(subset = subset, structure = structure, architecture = chain$layers), list(...))
  fit_matrix(
    chain$weights, x, y, na.action, options,
    list(likelihood = likelihood, validation = validation, timeout = timeout, progress = progress), call
  )
}

#' Weights in torch's names, and the layers: those of the first repetition, as neuralnet's own predictions.
#' @noRd
neuralnet_chain <- function(object) {
  matrices <- object$weights[[1]]
  between <- neuralnet_activation(object)
  end <- if (isTRUE(object$linear.output)) NULL else list(list(type = between))
  weights <- list()
  layers <- list()
  for (i in seq_along(matrices)) {
    # The first row is the bias.
    name <- as.character(i - 1)
    weights[[paste0(name, ".weight")]] <- t(unname(matrices[[i]][-1, , drop = FALSE]))
    weights[[paste0(name, ".bias")]] <- unname(matrices[[i]][1, ])
    layers <- c(layers, list(list(type = "Linear", name = name)), if (i < length(matrices)) list(list(type = between)))
  }
  list(weights = weights, layers = c(layers, end))
}

neuralnet_activation <- function(object) {
  type <- attr(object$act.fct, "type")
  known <- c(logistic = "Sigmoid", tanh = "Tanh")
  if (is.character(type) && length(type) == 1 && type %in% names(known)) return(known[[type]])
  laplace_stop(
    paste0(
      "The activation of this neuralnet object is a function of R's own, which cannot be read: train it with ",
      "act.fct = \"logistic\" or \"tanh\", or give its weights with architecture =."
    ),
    "BAD_OPTION", list(option = "act.fct")
  )
}

#' Cross-entropy is that of labels of two; squared errors are those of a regression.
#' @noRd
neuralnet_likelihood <- function(object) {
  if (!identical(attr(object$err.fct, "type"), "ce")) return("regression")
  if (ncol(as.matrix(object$response)) == 1) "binary" else "multilabel"
}

#' What to do with objects that hold no network that can be read here.
#' @noRd
way_out_of <- function(object) {
  classes <- class(object)
  if (inherits(object, "train")) {
    return(paste0(
      "Train it with method = caret_laplace() in caret::train(), which fits nnet networks as caret does and makes ",
      "them Bayesian; or give laplace(object$finalModel, x, y) with x prepared as train() did, by object$preProcess."
    ))
  }
  if (inherits(object, "avNNet")) {
    return(paste0(
      "Its networks are nnet objects: mixture(lapply(object$model, laplace, x, y)), with x and y as avNNet() took ",
      "them; classes are columns of indicators there."
    ))
  }
  if (any(grepl("^keras", classes))) {
    return(paste0(
      "Save the Keras model and give the file: save_model(model, \"model.keras\"), then ",
      "laplace(\"model.keras\", x, y, likelihood = )."
    ))
  }
  if (inherits(object, c("nn_module", "luz_module_fitted"))) {
    return(paste0(
      "Save its weights and give the file with its layers: safetensors::safe_save_file(model$state_dict(), ",
      "\"model.safetensors\"), then laplace(\"model.safetensors\", x, y, architecture = , likelihood = )."
    ))
  }
  if (inherits(object, "model_fit")) {
    return("Give the network inside, laplace(parsnip::extract_fit_engine(object), x, y), with x as it was prepared.")
  }
  if (any(grepl("^brulee", classes))) {
    return("Give its weights as a named list (0.weight is out x in, 0.bias, ...) with architecture =.")
  }
  paste0(
    "Give an nnet or neuralnet object, a model file's path (ONNX, PyTorch state dict, safetensors, Keras, Flux), its ",
    "bytes, or a named list of weights with architecture =."
  )
}
