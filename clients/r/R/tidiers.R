# The generics of package generics (broom's) with their methods: found without library(generics), and without it at all.

#' Tidy data frames
#'
#' `tidy()`, `glance()` and `augment()` are the generics of packages generics and broom where generics is installed.
#'
#' @param x a fitted `laplace` object.
#' @param by `"parameter"`: a row for each weight; `"tensor"`: a row for each weight tensor.
#' @param conf.int whether to add `conf.low` and `conf.high`.
#' @param conf.level of these intervals, and of those of `augment()`.
#' @param data the training data, with one row for each example.
#' @param newdata other data to predict.
#' @param interval what `augment()` adds: `.lower` and `.upper` of the mean or probability (`"confidence"`), or of a new
#'   observation (`"prediction"`; of classes the sets of [conformalize()], a column `.in_set_<level>` each).
#' @param ... passed to [predict.laplace()] by `augment()`, otherwise not used.
#' @name laplace-tidiers
#' @return Data frames. `tidy()`: `term`, `estimate`, `std.error`, and `response` where each output has a posterior of
#'   its own (a regression of several outputs with structure `"lowrank"`). `glance()`: one row about the fit.
#'   `augment()`: the
#'   data with `.fitted`, `.se.fit` and `.resid` (regression), or `.fitted` (the class), `.se.fit` (of its probability)
#'   and the probabilities `.pred_<level>`; and with `.novelty` and `.novelty_score`, see [laplace_uncertainty()], after
#'   fits that keep what they need.
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' la <- laplace(fit)
#' tidy(la)
#' glance(la)
#' head(augment(la))
#' \dontshow{close(laplace_server())}
NULL

#' @rdname laplace-tidiers
#' @export
tidy <- function(x, ...) if (has_generics()) generics::tidy(x, ...) else UseMethod("tidy")

#' @rdname laplace-tidiers
#' @export
glance <- function(x, ...) if (has_generics()) generics::glance(x, ...) else UseMethod("glance")

#' @rdname laplace-tidiers
#' @export
augment <- function(x, ...) if (has_generics()) generics::augment(x, ...) else UseMethod("augment")

#' Other packages' methods are registered with those generics, so they must be asked where they are.
#' @noRd
has_generics <- function() requireNamespace("generics", quietly = TRUE)

#' @rdname laplace-tidiers
#' @export
tidy.laplace <- function(x, by = c("parameter", "tensor"), conf.int = FALSE, conf.level = 0.95, ...) {
  check_no_more(...)
  check_flag(conf.int, "conf.int")
  by <- if (missing(by)) "parameter" else one_of(by, c("parameter", "tensor"), "by")
  if (by == "tensor") return(summary(x)$table)
  values <- ask(x, "get", list(names = list("marginals")))$marginals
  count <- nrow(values$means)
  table <- data.frame(
    term = rep(parameter_names(x), count), estimate = as.vector(t(values$means)),
    std.error = sqrt(as.vector(t(values$variances))), stringsAsFactors = FALSE
  )
  if (count > 1) table$response <- rep(response_names(x, count), each = x$parameter_count)
  if (conf.int) {
    check_level(conf.level)
    z <- stats::qnorm((1 + conf.level) / 2)
    table$conf.low <- table$estimate - z * table$std.error
    table$conf.high <- table$estimate + z * table$std.error
  }
  table
}

#' The names of the outputs, where each has a posterior of its own.
#' @noRd
response_names <- function(x, count) if (length(x$labels) == count) x$labels else seq_len(count)

#' @rdname laplace-tidiers
#' @export
glance.laplace <- function(x, ...) {
  check_no_more(...)
  single <- function(value) if (length(value) == 1) as.double(value) else NA_real_
  data.frame(
    likelihood = x$likelihood, subset = if (length(x$subset) == 1 && is.character(x$subset)) x$subset else "subnetwork",
    structure = x$structure,
    log.marginal.likelihood = single(x$log_marginal_likelihood), log.likelihood = single(x$log_likelihood),
    log_evidence_at_mode = single(x$log_evidence_at_mode), leave.one.out.nll = single(x$choice$leave_one_out_nll),
    network.weight = single(x$choice$network_weight), linear.weight = single(x$choice$linear_weight),
    halfway.weight = single(x$choice$halfway_weight),
    prior.precision = single(x$prior_precision),
    sigma = if (x$likelihood == "regression") single(x$sigma_noise) else NA_real_,
    effective.parameters = single(x$effective_parameters),
    parameters = x$parameter_count, nobs = x$nobs, stringsAsFactors = FALSE
  )
}

#' @rdname laplace-tidiers
#' @export
augment.laplace <- function(x, data = NULL, newdata = NULL, interval = c("none", "confidence", "prediction"),
                            conf.level = 0.95, ...) {
  interval <- if (missing(interval)) "none" else one_of(interval, c("none", "confidence", "prediction"), "interval")
  training <- is.null(newdata) && is.null(data)
  table <- if (!is.null(newdata)) newdata else if (!is.null(data)) data else training_table(x)
  features <- if (training) x$x else table
  how <- list(...)
  predicted_as <- function(...) do.call(stats::predict, c(list(x), if (!training) list(features), list(...), how))
  if (!is.data.frame(table)) table <- as.data.frame(table)
  bounds <- if (interval == "none") NULL else bound_columns(x, interval, conf.level, predicted_as)
  table <- fitted_columns(x, table, training, predicted_as)
  table <- with_novelty(table, x, features, training, how$na.action)
  if (!is.null(bounds)) table[names(bounds)] <- bounds
  table
}

#' The columns .lower and .upper, or .in_set_<class>; `predicted_as` predicts the rows in a form of `predict`.
#' @noRd
bound_columns <- function(x, interval, level, predicted_as) {
  type <- if (interval == "confidence") "conf_int" else if (has_numbers(x)) "pred_int" else "set"
  bounds <- as.data.frame(predicted_as(type = type, level = level))
  names(bounds) <- if (type == "set") {
    paste0(".in_set_", if (is.null(x$levels)) seq_along(bounds) - 1 else x$levels)
  } else {
    sub("^[.]pred_(lower|upper)", ".\\1", names(bounds))
  }
  bounds <- bounds[grepl("^[.](lower|upper|in_set)", names(bounds))]
  rownames(bounds) <- NULL
  bounds
}

#' The table with the columns .fitted and .se.fit, with .resid where the response is known, or with .pred_<output>.
#' @noRd
fitted_columns <- function(x, table, training, predicted_as) {
  if (has_numbers(x) && (x$outputs == 1 || x$likelihood == "heteroscedastic" && x$outputs == 2)) {
    values <- predicted_as(se.fit = TRUE)
    table$.fitted <- unname(values$fit)
    table$.se.fit <- unname(values$se.fit)
    y <- if (training) observed(x) else if (!is.null(x$terms)) known_response(x, table)
    if (!is.null(y)) table$.resid <- unname(y - values$fit)
    return(table)
  }
  values <- predicted_as(type = if (has_numbers(x)) "response" else "prob", se.fit = TRUE)
  labels <- if (is.null(colnames(values$fit))) seq_len(ncol(values$fit)) - 1 else colnames(values$fit)
  if (x$likelihood %in% c("classification", "binary")) {
    table$.fitted <- unname(predicted_as(type = "class"))
    table$.se.fit <- values$se.fit[cbind(
      seq_len(nrow(values$fit)), max.col(replace(values$fit, is.na(values$fit), 0), ties.method = "first")
    )]
  }
  table[paste0(".pred_", labels)] <- as.data.frame(unname(values$fit))
  table
}

#' The table with the columns .novelty and .novelty_score, where the fit keeps what they need.
#' @noRd
with_novelty <- function(table, x, features, training, na_action) {
  if (is.null(na_action)) na_action <- stats::na.pass
  rows <- if (training) training_rows(x) else new_features(x, features, match.fun(na_action))
  answer <- predicted(x, rows_of(rows$x, rows$keep), list(), parts = c("novelty", "noveltyScore"))
  found <- novelty_of(answer)
  for (name in names(found)) table[[paste0(".", name)]] <- with_missing(found[[name]], rows$keep)
  table
}

#' The response of new data where it has one.
#' @noRd
known_response <- function(x, table) {
  tryCatch(
    as.vector(stats::model.response(stats::model.frame(x$terms, table, na.action = stats::na.pass, xlev = x$xlevels))),
    error = function(condition) NULL
  )
}

#' The training data as a table: the model frame of a formula, or the features.
#' @noRd
training_table <- function(x) {
  if (!is.null(x$frame)) return(structure(x$frame, terms = NULL, na.action = NULL))
  if (is.null(x$x)) laplace_stop("This object holds no training data: give `data` or `newdata`.", "NOT_FITTED")
  if (is_inputs(x$x)) {
    return(do.call(data.frame, lapply(unclass(x$x), function(array) as.data.frame(matrix(array, dim(array)[1])))))
  }
  table <- as.data.frame(matrix(x$x, dim(x$x)[1]))
  names(table) <- if (is.null(x$features)) paste0("x", seq_along(table)) else x$features
  table
}
