# Fits to data in parts, on several processes or machines: sums that add up.

#' Fits to data in parts, on several processes or machines
#'
#' A fit is a sum over rows. `fit_partial()` sums up a part of the data, `merge_partials()` (or `+`) adds such sums, and
#' `fit_merged()` makes the posterior of them, which is that of one machine but for rounding. A partial fit can be saved
#' ([saveRDS()]) and sent to another process. [fit_future()] does all of it with the workers of a plan of package
#' future.
#'
#' Each partial fit knows the chunks of data that it has summed; one that holds a chunk of the other is refused.
#' Of the linear model over all weights nothing adds up, so that a structure must be named; prior and noise are tuned
#' by the marginal likelihood unless `fit_merged()` is given the training rows once more.
#'
#' @param object a network, as for [laplace()].
#' @param x,y features and response of this part, as for [laplace()]. Factors must have the same levels in every part.
#'   For `fit_merged()`: all of the training data once more, for ways of tuning that need them.
#' @param likelihood,subset,structure,... as for [laplace()].
#' @param validation rows that the network has not seen, `list(x = , y = )`, for ways of tuning that need them.
#' @param chunk a name that tells this part from one of equal rows.
#' @param partial,e1,e2 sums, from `fit_partial()`.
#' @param partials a list of them.
#' @param repeats what is done about a chunk that several of them have: `"refuse"` it, `"skip"` copies of the same work,
#'   or `"count"` them all.
#' @param levels of a factor, for `fit_merged()` alone.
#' @param timeout,progress as in [laplace()].
#' @return `fit_partial()` and `merge_partials()`: an object of class `laplace_partial`, a list with `n` (rows),
#'   `chunks` (digests) and `data` (raw). `fit_merged()`: as [laplace()].
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' parts <- lapply(list(1:20, 21:50), function(rows) {
#'   speed <- as.matrix(cars[rows, "speed", drop = FALSE])
#'   fit_partial(fit, speed / 50, cars$dist[rows] / 50, "regression")
#' })
#' fit_merged(fit, parts[[1]] + parts[[2]], "regression")
#' \dontshow{close(laplace_server())}
fit_partial <- function(object, x, y, likelihood, subset = "last_layer", structure = "kron", ..., chunk = NULL) {
  check_text(chunk, "chunk")
  given <- partial_request(object, x, y, likelihood, subset, structure, ..., chunk = chunk)
  new_partial(summed(given$params), given$levels)
}

#' The server's answer to a request for sums.
#' @noRd
summed <- function(params) {
  tryCatch(
    request(laplace_server(), "fitPartial", params),
    laplace_error_data = function(condition) stop(with_label_hint(condition, params$y))
  )
}

#' What the server is asked for the sums of a part, and the levels of its response.
#' @noRd
partial_request <- function(object, x, y, likelihood, subset, structure, ..., chunk = NULL) {
  x <- as_features(x)
  check_same_rows(x, y)
  options <- c(list(subset = subset, structure = structure), list(...))
  weights <- as_weights(options$weights, nrow(x))
  options$weights <- NULL
  response <- as_response(y, one_of(likelihood, LIKELIHOODS, "likelihood"), levels_of(object))
  data <- c(
    list(x = as_wire_examples(in_network_order(object, x)), y = as_wire_array(response$y)), weights,
    if (!is.null(chunk)) list(chunk = as.character(chunk))
  )
  list(params = c(fit_params(object, likelihood, options), data), levels = response$levels)
}

levels_of <- function(object) if (inherits(object, "nnet")) nnet_levels(object)

#' Network and options of a request.
#' @noRd
fit_params <- function(object, likelihood, options) {
  check_options(options)
  hints <- options[intersect(names(NETWORK_HINTS), names(options))]
  list(network = network_params(object, hints), options = wire_options(options, likelihood))
}

new_partial <- function(answer, levels) {
  bytes <- as.character(answer$chunks)
  chunks <- if (length(bytes)) apply(matrix(bytes, 32), 2, paste, collapse = "") else character()
  structure(
    list(n = as.double(answer$examples), chunks = chunks, levels = levels, data = answer$partial),
    class = "laplace_partial"
  )
}

#' @rdname fit_partial
#' @export
merge_partials <- function(partials, repeats = c("refuse", "skip", "count")) {
  repeats <- if (missing(repeats)) "refuse" else one_of(repeats, c("refuse", "skip", "count"), "repeats")
  if (!is.list(partials) || !all(vapply(partials, inherits, NA, "laplace_partial"))) {
    laplace_stop("`partials` must be a list of what fit_partial() returns.", "BAD_OPTION", list(option = "partials"))
  }
  if (length(partials) == 0) laplace_stop("There are no partial fits to merge.", "EMPTY_DATA")
  levels <- unique(Filter(Negate(is.null), lapply(partials, function(partial) partial$levels)))
  if (length(levels) > 1) {
    laplace_stop("The parts have factors of different levels: give `y` the same levels in each.", "BAD_LABELS")
  }
  data <- lapply(partials, function(partial) partial$data)
  answer <- request(laplace_server(), "mergePartials", list(partials = unname(data), repeats = repeats))
  new_partial(answer, if (length(levels)) levels[[1]])
}

#' @rdname fit_partial
#' @export
`+.laplace_partial` <- function(e1, e2) merge_partials(list(e1, e2))

#' @rdname fit_partial
#' @export
`-.laplace_partial` <- function(e1, e2) {
  if (!inherits(e2, "laplace_partial")) {
    laplace_stop("A partial fit is taken away from another: both must be what fit_partial() returns.", "BAD_OPTION")
  }
  answer <- request(laplace_server(), "subtractPartial", list(partial = e1$data, part = e2$data))
  new_partial(answer, e1$levels)
}

#' @export
print.laplace_partial <- function(x, ...) {
  check_no_more(..., allowed = PRINTED)
  cat(sprintf("<laplace_partial: %.0f rows, %d chunks, %d bytes>\n", x$n, length(x$chunks), length(x$data)))
  invisible(x)
}

#' @rdname fit_partial
#' @export
fit_merged <- function(object, partial, likelihood, subset = "last_layer", structure = "kron", ..., x = NULL, y = NULL,
                       validation = NULL, levels = partial$levels, timeout = NULL,
                       progress = getOption("polylaplace.progress", FALSE)) {
  call <- match.call()
  options <- c(list(subset = subset, structure = structure), list(...))
  weights <- options$weights
  options$weights <- NULL
  params <- c(fit_params(object, likelihood, options), list(partial = partial$data))
  if (!is.null(x)) {
    x <- in_network_order(object, as_features(x))
    check_same_rows(x, y)
    rows <- repeated_rows(weights, dim(x)[1])
    params$x <- as_wire_examples(rows_of(x, rows))
    params$y <- as_wire_array(rows_of(as_response(y, likelihood, levels_of(object))$y, rows))
  }
  held <- wire_validation(matrix_validation(validation), object, likelihood, list(levels = levels))
  if (!is.null(held)) params$validation <- held
  server <- laplace_server()
  answer <- make_remote(server, "fitMerged", params, timeout, progress)
  blob <- request(server, "save", list(posterior = answer$handle))$data
  answer$summary$notes <- with_levels(surprising(answer$summary$notes, object), levels)
  result <- new_laplace(list(call = call, levels = levels, options = options), answer$summary, blob, answer$remote)
  announce(result$notes)
  result
}

#' The numbers of rows, each as often as its weight says: what reads rows once more knows no other weights.
#' @noRd
repeated_rows <- function(weights, rows) {
  if (is.null(weights)) return(seq_len(rows))
  as_weights(weights, rows)
  if (anyNA(weights) || any(weights < 0 | weights != trunc(weights))) {
    laplace_stop(
      paste0(
        "This way of tuning reads rows once more, as often as `weights` say, in whole numbers: tune by \"marglik\", ",
        "or give `prior_precision`."
      ),
      "BAD_OPTION", list(option = "weights")
    )
  }
  rep(seq_len(rows), weights)
}
