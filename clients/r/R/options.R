# Options of a fit: R's names and the protocol's.

#' By R's names, the protocol's. Those without one are hints for reading the network.
#' @noRd
FIT_OPTIONS <- c(
  subset = "subset", structure = "structure", curvature = "curvature", draws = "draws", rank = "rank",
  blocks = "blocks",
  n_subset = "nSubset", independent_outputs = "independentOutputs", nystroem = "nystroem", samples = "samples",
  kfac_approx = "kfacApprox",
  prior_precision = "priorPrecision", prior_mean = "priorMean", sigma_noise = "sigmaNoise", temperature = "temperature",
  label_smoothing = "labelSmoothing", class_weight = "classWeight",
  prior_structure = "priorStructure", tune = "tune", calibrate = "calibrate", seed = "seed", engine = "engine",
  precision = "precision", threads = "threads", input = "input", output = "output", last_layer_name = "lastLayerName",
  positions = "positions", class_axis = "classAxis",
  batch_size = "batchSize", memory_limit = "memoryLimit"
)

#' What says how a network is to be read: by R's names, the protocol's.
#' @noRd
NETWORK_HINTS <- c(
  architecture = "architecture", activation = "activation", input = "input", output = "output",
  parameters = "parameters", freeze = "freeze", model_name = "model", input_size = "inputSize",
  dimensions = "dimensions", external_data = "files"
)

#' Words that other libraries use for the same things.
#' @noRd
SYNONYMS <- list(
  structure = c(gp = "functional"), prior_structure = c(diag = "diagonal"), tune = c(gridsearch = "grid")
)

LIKELIHOODS <- c(
  "classification", "binary", "multilabel", "regression", "heteroscedastic", "poisson", "reward_modeling"
)

#' Whether the targets are numbers: predictions then have means and variances, and no probabilities.
#' @noRd
has_numbers <- function(object) object$likelihood %in% c("regression", "reward_modeling") || has_observation(object)

#' Whether the targets are numbers in other units than the outputs: means and log variances, log rates.
#' @noRd
has_observation <- function(object) object$likelihood %in% c("heteroscedastic", "poisson")

#' Refuses options that do not exist, with the nearest that does.
#' @noRd
check_options <- function(options) {
  known <- union(names(FIT_OPTIONS), names(NETWORK_HINTS))
  given <- names(options)
  if (length(options) > 0 && (is.null(given) || any(!nzchar(given)))) {
    laplace_stop("Options must be given by name, such as structure = \"kron\".", "BAD_OPTION")
  }
  for (name in setdiff(given, known)) {
    near <- nearest(name, known)
    laplace_stop(
      paste0(
        "There is no option `", name, "`.", if (nzchar(near)) paste0(" Did you mean `", near, "`?"), " Known options: ",
        paste(known, collapse = ", "), "."
      ),
      "UNKNOWN_OPTION", list(option = name, suggestion = near)
    )
  }
  options
}

#' The protocol's options of R's.
#' @noRd
wire_options <- function(options, likelihood) {
  options <- options[intersect(names(FIT_OPTIONS), names(options))]
  options <- options[!vapply(options, is.null, NA)]
  # The server has no word for it: a structure that is not given is chosen.
  if (identical(options$structure, "auto")) options$structure <- NULL
  if (!is.null(options$sigma_noise)) options$sigma_noise <- wire_noise(options$sigma_noise)
  if (is.numeric(options$class_weight)) options$class_weight <- as_wire_array(as.double(options$class_weight))
  for (name in intersect(names(SYNONYMS), names(options))) {
    word <- options[[name]]
    if (is.character(word) && length(word) == 1 && word %in% names(SYNONYMS[[name]])) {
      options[[name]] <- SYNONYMS[[name]][[word]]
    }
  }
  subnetwork <- wire_subnetwork(options$subset)
  if (!is.null(subnetwork)) options$subset <- "subnetwork"
  if (identical(options$curvature, "mc_fisher") && is.null(options$seed)) options$seed <- fresh_seed()
  names(options) <- FIT_OPTIONS[names(options)]
  if (!is.null(subnetwork)) options$subnetwork <- subnetwork
  c(list(likelihood = likelihood), options)
}

#' The parameters of a `subset` that is no word: names, numbers, which R counts from 1, or a list of `count` and `by`.
#' @noRd
wire_subnetwork <- function(subset) {
  if (is.null(subset)) return(NULL)
  if (is.character(subset)) {
    if (length(subset) == 1 && subset %in% c("auto", "last_layer", "all", "subnetwork")) return(NULL)
    return(as.list(subset))
  }
  if (is.list(subset) && !is.null(subset$count)) {
    if (is.numeric(subset$by)) subset$by <- as_wire_array(as.double(subset$by))
    return(subset)
  }
  if (!is.numeric(subset) || anyNA(subset) || any(subset < 1 | subset != trunc(subset))) {
    laplace_stop(
      paste0(
        "`subset` must be \"auto\", \"last_layer\", \"all\", names of parameters, whole numbers from 1 on, or ",
        "list(count = , by = )."
      ),
      "BAD_OPTION", list(option = "subset")
    )
  }
  as_wire_array(as.double(subset) - 1)
}

#' Tensors by name, glob or number, which R counts from 1.
#' @noRd
wire_tensors <- function(choice, option) {
  if (is.null(choice)) return(NULL)
  lapply(as.list(choice), function(entry) {
    if (is.character(entry) && length(entry) == 1 && !is.na(entry)) return(entry)
    if (is.numeric(entry) && length(entry) == 1 && !is.na(entry) && entry >= 1 && entry == trunc(entry)) {
      return(as.double(entry) - 1)
    }
    laplace_stop(
      sprintf("`%s` must be names, globs such as \"*lora*\", or whole numbers from 1 on.", option), "BAD_OPTION",
      list(option = option)
    )
  })
}

#' The noise: one number, or one for each output, as a vector or a list.
#' @noRd
wire_noise <- function(sigma) {
  if (identical(sigma, "full")) return(sigma)
  if (is.matrix(sigma) && nrow(sigma) > 1) return(as_wire_array(sigma))
  numbers <- if (is.list(sigma) && all(lengths(sigma) == 1)) unlist(sigma) else sigma
  if (!is.numeric(numbers) || length(numbers) == 0 || any(!is.finite(numbers)) || any(numbers <= 0)) {
    laplace_stop(
      "`sigma_noise` must be a positive number, one for each output, or a covariance matrix.", "BAD_OPTION",
      list(option = "sigma_noise")
    )
  }
  if (length(numbers) == 1) as.double(numbers) else as_wire_array(as.double(numbers))
}

#' A seed for one call: the given one, or one drawn from R's random numbers, so that set.seed() governs it.
#' @noRd
fresh_seed <- function(seed = NULL) {
  if (is.null(seed)) return(sample.int(.Machine$integer.max, 1L))
  if (!is.numeric(seed) || length(seed) != 1 || is.na(seed) || seed < 0 || seed > MAX_WHOLE || seed != trunc(seed)) {
    laplace_stop("`seed` must be a whole number from 0 to 2^53 - 1.", "BAD_OPTION", list(option = "seed"))
  }
  as.double(seed)
}
