# Fits and predictions on the workers of package future: a part of the data each.

#' Fits and predictions on the workers of package future
#'
#' `fit_future()` sums up every part of the data where it lies, merges the sums in a tree and makes the posterior of
#' them: that of [laplace()] on one machine but for rounding, with the same options. `predict_future()` adds the columns
#' of predictions to each part. Which workers that are is said by a plan, `future::plan()`; every one is asked for
#' Node.js and its version before the first part is read.
#'
#' Ways of tuning that need rows (`"auto"`, the default without `prior_precision`; `"linearized"`; `"validated"` of the
#' last layer; the noise of several outputs) read the parts once more: all rows while they have no more than
#' `sample_bytes`, else a sample of them, drawn by the option `seed`, each row with the same probability, and a warning
#' says how many. Neither the order of the parts nor that in which workers are done changes a bit of the sums.
#'
#' A worker that dies is an error of package future. With `checkpoint` nothing is lost then: the same call goes on.
#'
#' @param object for `fit_future()` a network, as for [laplace()]; for `predict_future()` a fitted `laplace` object.
#' @param parts a list with an element for each part: `list(x = , y = )`, with `weights` where its rows have some; for
#'   predictions a data frame, a matrix, or a list with `x`. Or a function without arguments that returns such a part,
#'   so that each worker reads its own. A part without rows changes nothing, and is predicted as `NULL`.
#' @param likelihood,subset,structure,... as for [laplace()]; for `predict_future()` further arguments of
#'   [predict.laplace()].
#' @param validation rows that the network has not seen, `list(x = , y = )`, for ways of tuning that need them.
#' @param checkpoint a folder that all workers share, where the sums of each part are kept: after a break the same call
#'   goes on from there, and parts are read and compared, not summed again.
#' @param sample_bytes of the rows that are read once more.
#' @param progress `TRUE` for a bar (with package cli), or a function of `stage`, `done`, `total` and `message`, which
#'   counts merges and bytes over the network.
#' @param interval,conf.level which intervals are added, as for `augment()` in [laplace-tidiers].
#' @param write a function of a table and the number of its part, called on the worker, such as one that writes a file:
#'   only its values come back. `NULL`: the tables do.
#' @return `fit_future()`: as [laplace()], without the training data. `predict_future()`: a list with an element for
#'   each part: the table with the columns that `augment()` adds ([laplace-tidiers]), or what `write` returned.
#' @export
#' @examplesIf laplace_available() && all(vapply(c("nnet", "future.apply"), requireNamespace, NA, quietly = TRUE))
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' parts <- lapply(list(1:20, 21:50), function(rows) {
#'   list(x = as.matrix(cars[rows, "speed", drop = FALSE]) / 50, y = cars$dist[rows] / 50)
#' })
#' la <- fit_future(fit, parts, "regression", prior_precision = 1)
#' predict_future(la, parts, interval = "prediction")[[2]][1:3, ]
#' \dontshow{close(laplace_server())}
fit_future <- function(object, parts, likelihood, subset = "last_layer", structure = "kron", ..., validation = NULL,
                       checkpoint = NULL, sample_bytes = 256 * 2^20,
                       progress = getOption("polylaplace.progress", FALSE)) {
  options <- list(...)
  check_options(options[setdiff(names(options), "weights")])
  check_before_rows(options$tune, validation, sample_bytes)
  each <- on_workers(parts, checkpoint)
  parts <- numbered_parts(parts)
  tell <- progress_function(progress)
  done <- each(parts, sum_part, object, likelihood, subset, structure, options, checkpoint)
  parts <- parts[lengths(done) > 0]
  done <- done[lengths(done) > 0]
  if (length(done) == 0) laplace_stop("There are no rows to fit to.", "EMPTY_DATA")
  total <- merged_in_tree(lapply(done, `[[`, "sums"), each, tell)
  rows <- if (reads_rows(options, subset)) {
    gathered_rows(parts, done, each, object, likelihood, sample_bytes, if (is.null(options$seed)) 0 else options$seed)
  }
  fit_merged(
    object, total, likelihood, subset, structure, ..., x = rows$x, y = rows$y, weights = rows$weights,
    validation = validation, progress = progress
  )
}

#' @rdname fit_future
#' @export
predict_future <- function(object, parts, interval = c("none", "confidence", "prediction"), conf.level = 0.95, ...,
                           write = NULL) {
  interval <- if (missing(interval)) "none" else one_of(interval, c("none", "confidence", "prediction"), "interval")
  each <- on_workers(parts)
  # Workers need the posterior alone.
  object[c("x", "y", "frame")] <- NULL
  each(numbered_parts(parts), predict_part, object, list(interval = interval, conf.level = conf.level, ...), write)
}

#' Refuses, before the pass over the parts, what tuning would refuse after it.
#' @noRd
check_before_rows <- function(tune, validation, sample_bytes) {
  check_that(is.numeric(sample_bytes) && length(sample_bytes) == 1 && isTRUE(sample_bytes >= 1), "sample_bytes",
             "a number of bytes above 0")
  if (!is.null(validation) && !is.list(validation)) {
    stop_validation("held-out rows, list(x = , y = ): parts have no share that could be held out")
  }
  if (is.null(tune)) return(invisible())
  one_of(tune, c("auto", "validated", "linearized", "marglik", "grid", "none"), "tune")
  if (tune %in% c("validated", "grid") && is.null(validation)) {
    laplace_stop(
      sprintf("Tuning \"%s\" chooses by held-out rows: give validation = list(x = , y = ).", tune), "BAD_COMBINATION",
      list(option = "validation")
    )
  }
}

#' lapply on the workers of the plan, all of which have been asked whether they can do the work.
#' @noRd
on_workers <- function(parts, checkpoint = NULL) {
  if (!requireNamespace("future.apply", quietly = TRUE)) {
    laplace_stop("Package future.apply is needed: install.packages(\"future.apply\").", "MISSING_DEPENDENCY")
  }
  if (!is.list(parts) || is.data.frame(parts)) {
    laplace_stop(
      "`parts` must be a list with an element for each part of the data, or with a function that reads it.",
      "BAD_OPTION", list(option = "parts")
    )
  }
  each <- function(values, work, ...) future.apply::future_lapply(values, work, ..., future.seed = NULL)
  workers <- seq_len(min(future::nbrOfWorkers(), length(parts)))
  each(workers, probe_worker, package_version_text(), mark_checkpoint(checkpoint))
  each
}

numbered_parts <- function(parts) {
  Map(function(part, number) list(part = part, number = number), unname(parts), seq_along(parts))
}

#' What is done with a part, read where it lies. Errors say which part it is.
#' @noRd
with_part <- function(own, work) {
  tryCatch(work(if (is.function(own$part)) own$part() else own$part), error = function(condition) {
    condition$message <- sprintf("In part %d: %s", own$number, conditionMessage(condition))
    stop(condition)
  })
}

#' The sums of one part, named by its number, its rows and their bytes; NULL where it has none.
#' @noRd
sum_part <- function(own, object, likelihood, subset, structure, options, checkpoint) {
  with_part(own, function(part) {
    if (NROW(part$x) == 0) return(NULL)
    given <- c(
      list(object, part$x, part$y, likelihood, subset, structure, weights = part$weights),
      # What is tuned, and by what, is said where the posterior is made.
      options[names(options) != "tune"], chunk = as.character(own$number)
    )
    sums <- if (is.null(checkpoint)) do.call(fit_partial, given)
    else kept_sums(do.call(partial_request, given), checkpoint)
    extents <- dim(as_features(part$x))
    list(sums = sums, rows = extents[1], bytes = 8 * (prod(extents[-1]) + NCOL(part$y)))
  })
}

#' Partial fits that are merged at once, at every level of the tree.
#' @noRd
FAN_IN <- 16

#' The sum of partial fits. In the order of what they hold, so that neither numbers nor workers change a bit.
#' @noRd
merged_in_tree <- function(level, each, tell) {
  level <- level[order(vapply(level, function(partial) partial$chunks[1], ""))]
  bytes_in <- function(pieces) sum(vapply(pieces, function(partial) as.double(length(partial$data)), 0))
  merges <- 0
  moved <- bytes_in(level)
  parts <- length(level)
  while (length(level) > 1) {
    groups <- unname(split(level, (seq_along(level) - 1) %/% FAN_IN))
    merges <- merges + length(level) - length(groups)
    # The last merge needs no worker.
    on_workers <- length(groups) > 1
    if (on_workers) moved <- moved + bytes_in(level)
    level <- (if (on_workers) each else lapply)(groups, merge_partials, repeats = "skip")
    if (on_workers) moved <- moved + bytes_in(level)
  }
  message <- sprintf("%.0f merges, %.0f bytes over the network", merges, moved)
  if (!is.null(tell)) tell(list(stage = "fit", done = parts, total = parts, message = message))
  level[[1]]
}

#' Whether the fit tunes by what only rows can say.
#' @noRd
reads_rows <- function(options, subset) {
  if (!is.null(options$prior_precision)) return(FALSE)
  if (is.null(options$tune)) return(TRUE)
  options$tune %in% c("auto", "linearized") || options$tune == "validated" && identical(subset, "last_layer")
}

#' The rows of all parts in their order, or a sample of them: list(x, y, weights).
#' @noRd
gathered_rows <- function(parts, done, each, object, likelihood, sample_bytes, seed) {
  counts <- vapply(done, function(own) as.double(own$rows), 0)
  most <- max(1, floor(sample_bytes / done[[1]]$bytes))
  seen <- sum(counts)
  if (seen > most) {
    chosen <- sort(with_seed(seed, sample.int(seen, most)))
    starts <- cumsum(counts) - counts
    parts <- Map(function(own, start, count) {
      c(own, list(rows = chosen[chosen > start & chosen <= start + count] - start))
    }, parts, starts, counts)
    laplace_warn(sprintf(
      paste0(
        "The prior is tuned by %.0f of the %.0f rows, drawn by the seed: more are more than %.0f bytes ",
        "(sample_bytes). It is not exactly that of one machine."
      ),
      most, seen, sample_bytes
    ))
  }
  pieces <- each(parts, rows_of_part, object, likelihood)
  joined <- function(name) joined_rows(lapply(pieces, `[[`, name))
  list(x = joined("x"), y = joined("y"), weights = unlist(lapply(pieces, `[[`, "weights")))
}

#' Rows of a part, all of them or those that were chosen, with what they count.
#' @noRd
rows_of_part <- function(own, object, likelihood) {
  with_part(own, function(part) {
    x <- in_network_order(object, as_features(part$x))
    y <- as_response(part$y, likelihood, levels_of(object))$y
    rows <- if (is.null(own$rows)) seq_len(dim(x)[1]) else own$rows
    list(x = rows_of(x, rows), y = rows_of(y, rows), weights = part$weights[rows])
  })
}

#' Rows of several arrays one after another.
#' @noRd
joined_rows <- function(parts) {
  first <- parts[[1]]
  if (is_inputs(first)) {
    each <- lapply(names(first), function(name) joined_rows(lapply(parts, function(part) unclass(part)[[name]])))
    return(new_inputs(stats::setNames(each, names(first))))
  }
  if (is.null(dim(first))) return(unlist(parts))
  # Of a part without chosen rows too the width is known.
  flat <- do.call(rbind, lapply(parts, function(part) matrix(part, dim(part)[1], prod(dim(first)[-1]))))
  if (length(dim(first)) == 2) {
    colnames(flat) <- colnames(first)
    return(flat)
  }
  array(flat, c(nrow(flat), dim(first)[-1]))
}

#' A value with the random numbers of a seed; those of the session go on as they were.
#' @noRd
with_seed <- function(seed, value) {
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(if (is.null(old)) rm(".Random.seed", envir = globalenv()) else assign(".Random.seed", old, globalenv()))
  set.seed(seed, "Mersenne-Twister", sample.kind = "Rejection")
  value
}

#' The columns of a prediction beside those of one part.
#' @noRd
predict_part <- function(own, object, how, write) {
  with_part(own, function(part) {
    table <- if (is.list(part) && !is.data.frame(part) && !is_inputs(part) && !is.null(part$x)) part$x else part
    if (NROW(table) == 0) return(NULL)
    answer <- do.call(augment.laplace, c(list(object, newdata = table), how))
    if (is.null(write)) answer else write(answer, own$number)
  })
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
