# Fits to data in parts, on several processes or machines: sums that add up.

#' Fits to data in parts, on several processes or machines
#'
#' A fit is a sum over rows. `fit_partial()` sums up a part of the data, `merge_partials()` (or `+`) adds such sums, and
#' `fit_merged()` makes the posterior of them, which is that of one machine but for rounding. A partial fit can be saved
#' ([saveRDS()]) and sent to another process. `fit_future()` does all of it with the workers of a plan of package
#' future, the sums merged in a tree; every worker is asked for Node.js and its version before the first part is read.
#'
#' Each partial fit knows the chunks of data that it has summed; one that holds a chunk of the other is refused.
#' Of the linear model over all weights nothing adds up, so that a structure must be named; prior and noise are tuned
#' by the marginal likelihood unless `fit_merged()` is given the training rows once more.
#'
#' @param object a network, as for [laplace()].
#' @param x,y features and response of this part, as for [laplace()]. Factors must have the same levels in every part.
#'   For `fit_merged()`: all of the training data once more, for ways of tuning that need them.
#' @param likelihood,subset,structure,... as for [laplace()].
#' @param chunk a name that tells this part from one of equal rows.
#' @param partial,e1,e2 sums, from `fit_partial()`.
#' @param partials a list of them.
#' @param repeats what is done about a chunk that several of them have: `"refuse"` it, `"skip"` copies of the same work,
#'   or `"count"` them all.
#' @param parts a list with an element for each part: `list(x = , y = )`, with `weights` where its rows have some, or a
#'   function without arguments that returns such a list, so that each worker reads its own. A part without rows changes
#'   nothing.
#' @param checkpoint a folder that all workers share, where the sums of each part are kept: after a break the same call
#'   goes on from there, and parts are read and compared, not summed again.
#' @param levels of a factor, for `fit_merged()` alone.
#' @return `fit_partial()` and `merge_partials()`: an object of class `laplace_partial`, a list with `n` (rows),
#'   `chunks` (digests) and `data` (raw). `fit_merged()` and `fit_future()`: as [laplace()].
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' parts <- lapply(list(1:20, 21:50), function(rows) {
#'   fit_partial(fit, as.matrix(cars[rows, "speed", drop = FALSE]) / 50, cars$dist[rows] / 50, "regression")
#' })
#' fit_merged(fit, parts[[1]] + parts[[2]], "regression")
fit_partial <- function(object, x, y, likelihood, subset = "last_layer", structure = "kron", ..., chunk = NULL) {
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
  repeats <- match.arg(repeats)
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
  cat(sprintf("<laplace_partial: %.0f rows, %d chunks, %d bytes>\n", x$n, length(x$chunks), length(x$data)))
  invisible(x)
}

#' @rdname fit_partial
#' @export
fit_merged <- function(object, partial, likelihood, subset = "last_layer", structure = "kron", ..., x = NULL, y = NULL,
                       levels = partial$levels) {
  call <- match.call()
  options <- c(list(subset = subset, structure = structure), list(...))
  params <- c(fit_params(object, likelihood, options), list(partial = partial$data))
  if (!is.null(x)) {
    x <- in_network_order(object, as_features(x))
    params$x <- as_wire_examples(x)
    params$y <- as_wire_array(as_response(y, likelihood, levels_of(object))$y)
  }
  server <- laplace_server()
  answer <- make_remote(server, "fitMerged", params)
  blob <- request(server, "save", list(posterior = answer$handle))$data
  answer$summary$notes <- with_levels(surprising(answer$summary$notes, object), levels)
  result <- new_laplace(list(call = call, levels = levels, options = options), answer$summary, blob, answer$remote)
  announce(result$notes)
  result
}

#' Partial fits that are merged at once, at every level of the tree.
#' @noRd
FAN_IN <- 16

#' @rdname fit_partial
#' @export
fit_future <- function(object, parts, likelihood, subset = "last_layer", structure = "kron", ..., checkpoint = NULL) {
  if (!requireNamespace("future.apply", quietly = TRUE)) {
    laplace_stop("Package future.apply is needed: install.packages(\"future.apply\").", "MISSING_DEPENDENCY")
  }
  each <- function(values, work, ...) future.apply::future_lapply(values, work, ..., future.seed = NULL)
  workers <- min(future::nbrOfWorkers(), length(parts))
  each(seq_len(workers), probe_worker, package_version_text(), mark_checkpoint(checkpoint))
  level <- each(seq_along(parts), sum_part, parts, object, likelihood, subset, structure, list(...), checkpoint)
  level <- Filter(Negate(is.null), level)
  if (length(level) == 0) laplace_stop("There are no rows to fit to.", "EMPTY_DATA")
  while (length(level) > 1) {
    groups <- unname(split(level, (seq_along(level) - 1) %/% FAN_IN))
    # The last merge needs no worker.
    level <- (if (length(groups) > 1) each else lapply)(groups, merge_partials, repeats = "skip")
  }
  fit_merged(object, level[[1]], likelihood, subset, structure, ...)
}

#' The sums of one part, named by its number; NULL where it has no rows. Errors say which part it is.
#' @noRd
sum_part <- function(number, parts, object, likelihood, subset, structure, options, checkpoint) {
  tryCatch({
    part <- parts[[number]]
    if (is.function(part)) part <- part()
    if (NROW(part$x) == 0) return(NULL)
    given <- list(object, part$x, part$y, likelihood, subset, structure, weights = part$weights)
    given <- c(given, options, chunk = as.character(number))
    if (is.null(checkpoint)) do.call(fit_partial, given) else kept_sums(do.call(partial_request, given), checkpoint)
  }, error = function(condition) {
    condition$message <- sprintf("In part %d: %s", number, conditionMessage(condition))
    stop(condition)
  })
}

#' The sums of a request, from the checkpoint folder where they are there. Only bytes are kept, which the server checks.
#' @noRd
kept_sums <- function(given, checkpoint) {
  same <- given$params
  # Neither changes the sums.
  same$options[c("threads", "memoryLimit")] <- NULL
  file <- file.path(checkpoint, paste0(fingerprint_of(same), ".partial"))
  if (!file.exists(file)) {
    answer <- summed(given$params)
    write_whole(answer$partial, file)
    return(new_partial(answer, given$levels))
  }
  data <- readBin(file, raw(), file.size(file))
  new_partial(request(laplace_server(), "mergePartials", list(partials = list(data), repeats = "refuse")), given$levels)
}

#' A fingerprint of anything in R; rows and network are in it.
#' @noRd
fingerprint_of <- function(value) {
  file <- tempfile()
  on.exit(unlink(file))
  writeBin(serialize(value, NULL), file)
  unname(tools::md5sum(file))
}

CHECKPOINT_MARK <- "polylaplace-checkpoint"

#' Marks the folder, so that workers can tell that they see the same one.
#' @noRd
mark_checkpoint <- function(checkpoint) {
  if (is.null(checkpoint)) return(NULL)
  dir.create(checkpoint, showWarnings = FALSE, recursive = TRUE)
  token <- paste(Sys.getpid(), format(Sys.time(), "%Y%m%d%H%M%OS6"))
  writeLines(token, file.path(checkpoint, CHECKPOINT_MARK))
  list(folder = checkpoint, token = token)
}

#' Stops where this worker could not do the work, naming its host.
#' @noRd
probe_worker <- function(number, version, checkpoint) {
  host <- Sys.info()[["nodename"]]
  if (version != package_version_text()) {
    laplace_stop(
      sprintf(
        "Worker %s has polylaplace %s, and this process %s: install the same version.", host, package_version_text(),
        version
      ),
      "DIGEST_MISMATCH"
    )
  }
  tryCatch(laplace_server(), laplace_error = function(condition) {
    condition$message <- sprintf("On worker %s: %s", host, conditionMessage(condition))
    stop(condition)
  })
  mark <- file.path(checkpoint$folder, CHECKPOINT_MARK)
  if (!is.null(checkpoint) && !(file.exists(mark) && identical(readLines(mark), checkpoint$token))) {
    laplace_stop(
      sprintf(
        "Worker %s does not see the checkpoint folder '%s': it must be one that all workers share.", host,
        checkpoint$folder
      ),
      "NOT_FITTED", list(option = "checkpoint", value = checkpoint$folder)
    )
  }
  invisible(host)
}
