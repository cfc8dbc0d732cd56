# Networks as the server takes them: nnet objects, files, bytes, lists of weights.

#' What readNetwork needs.
#' @noRd
network_params <- function(object, hints = list()) {
  hints <- wire_hints(object, hints)
  if (!is.null(hints$architecture)) hints$architecture <- read_architecture(hints$architecture)
  if (inherits(object, "nnet")) return(list(nnet = nnet_params(object), hints = as_map(hints)))
  if (is.raw(object)) return(list(bytes = object, hints = as_map(hints)))
  if (is.character(object)) return(list(bytes = read_bytes(object), hints = as_map(hints)))
  weights_params(object, hints)
}

#' Hints under the protocol's names; the files beside a model's file are read.
#' @noRd
wire_hints <- function(object, hints) {
  check_text(hints$activation, "activation")
  check_text(hints$model_name, "model_name")
  for (option in c("input_size", "dimensions")) {
    sizes <- unlist(hints[[option]])
    check_that(
      is.null(sizes) || is.numeric(sizes) && all(is.finite(sizes)) && all(sizes >= 1 & sizes == trunc(sizes)), option,
      "whole numbers above 0"
    )
  }
  check_that(
    is.null(hints$external_data) || is.list(hints$external_data) || is.character(hints$external_data),
    "external_data", "a folder, or a named list of raw vectors"
  )
  hints$external_data <- external_files(object, hints$external_data)
  for (option in c("parameters", "freeze")) hints[[option]] <- wire_tensors(hints[[option]], option)
  if (!is.null(hints$input_size)) hints$input_size <- as.list(as.double(hints$input_size))
  if (!is.null(hints$dimensions)) hints$dimensions <- lapply(as.list(hints$dimensions), as.double)
  hints <- hints[!vapply(hints, is.null, NA)]
  names(hints) <- NETWORK_HINTS[names(hints)]
  hints
}

as_map <- function(list) if (length(list) == 0) empty_map() else list

read_bytes <- function(path) {
  if (length(path) != 1 || is.na(path)) laplace_stop("The path of a model file must be one string.", "BAD_OPTION")
  path <- path.expand(path)
  if (!file.exists(path)) laplace_stop(sprintf("There is no file '%s'.", path), "BAD_OPTION", list(path = path))
  if (dir.exists(path)) {
    laplace_stop(sprintf("'%s' is a folder; give the model's file.", path), "BAD_OPTION", list(path = path))
  }
  readBin(path, "raw", file.size(path))
}

#' A list of layers, or the path of a JSON file of one.
#' @noRd
read_architecture <- function(architecture) {
  if (is.character(architecture)) {
    bytes <- read_bytes(architecture)
    check_that(!any(bytes == 0), "architecture", "a list of layers, or the path of a JSON file of one")
    text <- rawToChar(bytes)
    Encoding(text) <- "UTF-8"
    architecture <- parse_json(text)
  }
  if (!is.list(architecture) || !is.null(names(architecture)) || !all(vapply(architecture, is.list, NA))) {
    laplace_stop(
      paste0(
        "`architecture` must be a list of layers such as list(list(type = \"Linear\", name = \"0\"), list(type = ",
        "\"Tanh\")), or the path of a JSON file of one."
      ),
      "BAD_OPTION", list(option = "architecture")
    )
  }
  lapply(
    architecture,
    function(layer) lapply(layer, function(value) if (length(value) > 1 && is.numeric(value)) as.list(value) else value)
  )
}

#' A named list of arrays: torch's names and shapes.
#' @noRd
weights_params <- function(weights, hints) {
  names <- names(weights)
  if (length(weights) == 0 || is.null(names) || any(!nzchar(names)) || anyDuplicated(names)) {
    laplace_stop("A list of weights must have a name for each array, such as \"0.weight\" and \"0.bias\".", "BAD_ARRAY")
  }
  parts <- names[vapply(weights, is.list, NA)]
  if (length(parts) > 0) {
    part <- one_of_parts(parts, hints$model)
    hints$model <- NULL
    return(weights_params(weights[[part]], hints))
  }
  tensors <- lapply(stats::setNames(names, names), function(name) {
    if (!is.numeric(weights[[name]])) {
      laplace_stop(sprintf("The weights '%s' are not numbers.", name), "BAD_ARRAY", list(array = name))
    }
    tensor <- weights[[name]]
    storage.mode(tensor) <- "double"
    as_wire_array(tensor)
  })
  layers <- hints$architecture
  hints$architecture <- NULL
  c(if (!is.null(layers)) list(layers = layers), list(tensors = tensors, hints = as_map(hints)))
}

#' The network that is meant of a list of several.
#' @noRd
one_of_parts <- function(parts, name) {
  if (is.null(name) && length(parts) == 1) return(parts)
  if (is.character(name) && length(name) == 1 && name %in% parts) return(name)
  laplace_stop(
    sprintf(
      "The list holds %d networks: %s. Say which with model_name, for example model_name = \"%s\".", length(parts),
      quoted_list(parts), parts[1]
    ),
    "AMBIGUOUS_NETWORK", list(networks = as.list(parts))
  )
}

# --- nnet ---

#' The fields of an nnet object. Whether its outputs are linear and whether it skips layers is not kept in it, but
#' follows from the numbers of units and weights.
#' @noRd
nnet_params <- function(object) {
  refuse_multinom(object)
  sizes <- as.double(object$n)
  list(
    n = as.list(sizes), wts = as_wire_array(as.double(object$wts)),
    conn = as_wire_array(as.double(object$conn)), nconn = as_wire_array(as.double(object$nconn)),
    nsunits = as.double(object$nsunits),
    linout = nnet_is_linear(object), softmax = isTRUE(object$softmax), entropy = isTRUE(object$entropy),
    censored = isTRUE(object$censored),
    skip = length(object$wts) > (sizes[1] + 1) * sizes[2] + (sizes[2] + 1) * sizes[3]
  )
}

refuse_multinom <- function(object) {
  if (inherits(object, "multinom")) {
    laplace_stop(
      "A multinom fit has no hidden layer to approximate: vcov() of it is its Laplace approximation.", "BAD_GRAPH"
    )
  }
}

#' nnet() keeps no mask in its fit, only the call that had one, and orders weights otherwise than parameters are.
#' @noRd
warn_of_mask <- function(object, subset) {
  if (is.null(object$call$mask) || is.numeric(subset)) return(invisible())
  fitted <- fitted_parameters(object)
  laplace_warn(
    paste0(
      "The network was fitted with `mask`, which holds weights where they started, and nnet does not keep it: they ",
      "count as parameters here. Leave them out by `subset`, the numbers of the parameters that were fitted",
      if (length(fitted) > 0) paste0(": subset = ", in_ranges(fitted)), ". Parameters are numbered by hidden units, ",
      "their biases, outputs, their biases, which is not the order of `mask`."
    )
  )
}

#' The numbers of the parameters that the mask of an nnet object lets be fitted; none where the mask is not at hand.
#' @noRd
fitted_parameters <- function(object) {
  mask <- tryCatch(eval(object$call$mask, environment(object$terms)), error = function(error) NULL)
  if (!is.logical(mask) || length(mask) != length(object$wts) || anyNA(mask)) return(integer())
  which(mask[nnet_order(object)])
}

#' The places in the weights of an nnet object of each parameter, in the order of the parameters.
#' @noRd
nnet_order <- function(object) {
  hidden <- object$n[1] + seq_len(object$n[2])
  outputs <- object$n[1] + object$n[2] + seq_len(object$n[3])
  # A unit's weights are those of hidden units, then those of inputs that skip them; unit 0 is the bias.
  weights <- function(places) {
    sources <- object$conn[places]
    by <- order(!sources %in% hidden, sources)
    places[by][sources[by] != 0]
  }
  layer <- function(units) {
    places <- lapply(units, function(unit) seq(object$nconn[unit + 1] + 1, object$nconn[unit + 2]))
    biases <- lapply(places, function(each) each[object$conn[each] == 0])
    c(unlist(lapply(places, weights)), unlist(biases))
  }
  c(layer(hidden), layer(outputs))
}

#' Whole numbers as R code: c(1:5, 7).
#' @noRd
in_ranges <- function(numbers) {
  run <- cumsum(c(1, diff(numbers) != 1))
  parts <- vapply(split(numbers, run), function(each) {
    if (length(each) > 2) paste0(each[1], ":", each[length(each)]) else paste(each, collapse = ", ")
  }, "")
  paste0("c(", paste(parts, collapse = ", "), ")")
}

nnet_is_linear <- function(object) object$nsunits < object$nunits

#' The likelihood that an nnet object was trained with.
#' @noRd
nnet_likelihood <- function(object) {
  if (isTRUE(object$softmax)) return("classification")
  if (isTRUE(object$entropy)) return(if (object$n[3] == 1) "binary" else "multilabel")
  "regression"
}

#' The levels of the response of an nnet object, NULL when it has none. nnet drops empty levels from its outputs and
#' keeps them in `lev`.
#' @noRd
nnet_levels <- function(object) {
  outputs <- colnames(object$fitted.values)
  if (!is.null(object$lev) && isTRUE(object$softmax) && length(outputs) == object$n[3]) return(outputs)
  if (!is.null(object$lev)) return(object$lev)
  if (isTRUE(object$softmax)) colnames(object$fitted.values)
}
