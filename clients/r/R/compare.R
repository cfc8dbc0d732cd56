# Network, temperature scaling and posterior side by side.

#' Network, temperature scaling and posterior side by side
#'
#' Scores of three predictions of the same rows, which neither the training of the network nor the fit has seen: of the
#' network alone, of the network with one temperature (the usual way to repair its confidence), and of the posterior.
#'
#' @param object a fitted `laplace` object, or a [mixture()].
#' @param x rows to predict: features as in [predict.laplace()]; for `print()` a comparison.
#' @param y their true responses; taken from `x` for fits by formula.
#' @param outliers rows that are no data, features as in `x`, without responses: how well are they told from `x`?
#' @param ... not used.
#' @return A data frame of class `laplace_comparison` with the rows `network`, `temperature` (for classes) and
#'   `posterior`. Columns for classes: `points` (number of rows), `nll`, `brier`, `accuracy`, `ece`, `adaptive_ece`,
#'   `class_wise_ece`, `smooth_ece`, `aurc` (area under the risk-coverage curve), `coverage_at_risk_1` and
#'   `coverage_at_risk_5` (share of rows that can be answered with at most 1 and 5 % errors). For numbers: `points`,
#'   `nll`, `crps`, `rmse`, `deviance` (of counts), `sharpness`, `coverage_50` and `width_50` to `coverage_95` and
#'   `width_95` (share of the truth in central intervals, and their width), `pit_kolmogorov`. Of several outputs these
#'   are over all of them, so that the one on the largest scale decides them; the attribute `by_output` is a data frame
#'   with the same columns for each output alone, in its own units, after `of` (whose scores) and `output`.
#'
#'   The temperature is that of the fit's held-out rows (`validation`) where it had any; otherwise each tenth of
#'   the given rows is scored with the temperature of the others. Attributes: `rows`, `temperature` (of all rows),
#'   `temperature_from`, `temperature_note` (where it is at a bound), and `reports` with everything that the server
#'   says, such as reliability diagrams.
#'
#'   With `outliers` the attribute `outliers` is a data frame with the columns `auroc` and `fpr_at_95_tpr` (the share of
#'   the outliers that pass where 95 % of `x` pass), a row for each doubt that tells them: one less the confidence of
#'   `network`, `temperature` and `posterior` (numbers: the variance of the `posterior` alone), and `novelty` where
#'   predictions have it.
#' @seealso [laplace_metrics()] for a few scores of one prediction.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' train <- sample(150, 100)
#' fit <- nnet::nnet(Species ~ ., iris[train, ], size = 4, decay = 1e-4, trace = FALSE)
#' compare(laplace(fit), iris[-train, ])
#' \dontshow{close(laplace_server())}
compare <- function(object, ...) UseMethod("compare")

#' @rdname compare
#' @export
compare.laplace <- function(object, x, y, outliers = NULL, ...) {
  check_no_more(...)
  answer <- ask(object, "compare", compared_rows(object, x, y, outliers, "compare(object, x, y)"))
  reports <- answer[c("network", "temperature", "posterior")]
  reports <- reports[!vapply(reports, is.null, NA)]
  table <- do.call(rbind, lapply(reports, report_row))
  structure(
    table, class = c("laplace_comparison", "data.frame"), rows = answer$rows, temperature = answer$temperatureValue,
    temperature_from = answer$temperatureFrom, temperature_note = answer$temperatureNote, reports = reports,
    outliers = outlier_table(answer$outliers), by_output = output_table(reports)
  )
}

#' Scores of each of several outputs of numbers, a row each; NULL for one output, and for classes.
#' @noRd
output_table <- function(reports) {
  rows <- lapply(names(reports), function(of) {
    own <- reports[[of]]$byOutput
    if (is.null(own)) return(NULL)
    data.frame(of = of, output = seq_along(own), do.call(rbind, lapply(own, report_row)))
  })
  do.call(rbind, rows)
}

#' Rows with responses, and rows that are no data, as the server takes them.
#' @noRd
compared_rows <- function(object, x, y, outliers, usage) {
  if (missing(x)) laplace_stop(sprintf("Give rows that the fit has not seen: %s.", usage), "BAD_OPTION")
  rows <- labelled_rows(object, x, y, usage)
  params <- list(x = as_wire_examples(rows$x), y = as_wire_array(rows$y))
  if (!is.null(outliers)) params$outliers <- as_wire_examples(complete_features(object, outliers))
  params
}

#' Features of rows without missing values.
#' @noRd
complete_features <- function(object, newdata) {
  rows <- new_features(object, newdata, stats::na.pass)
  if (!any(rows$keep)) laplace_stop("There is no outlier without missing values.", "EMPTY_DATA")
  rows_of(rows$x, rows$keep)
}

#' Reports of how well outliers are told as a data frame; NULL where there were none.
#' @noRd
outlier_table <- function(reports) {
  if (is.null(reports)) return(NULL)
  column <- function(name) vapply(reports, function(report) as.double(report[[name]]), 0)
  data.frame(
    auroc = column("auroc"), fpr_at_95_tpr = column("fprAt95Tpr"),
    row.names = vapply(reports, function(report) report$of, "")
  )
}

#' The numbers of a report as one row.
#' @noRd
report_row <- function(report) {
  single <- vapply(report, function(value) is.numeric(value) && length(value) == 1, NA)
  numbers <- unlist(report[single])
  names(numbers) <- snake(names(numbers))
  for (entry in report$coverageAtRisk) numbers[paste0("coverage_at_risk_", percent(entry$risk))] <- entry$coverage
  for (entry in report$intervals) {
    numbers[paste0(c("coverage_", "width_"), percent(entry$level))] <- c(entry$coverage, entry$width)
  }
  if (!is.null(report$pit)) numbers["pit_kolmogorov"] <- report$pit$kolmogorov
  as.data.frame(as.list(numbers))
}

percent <- function(part) format(100 * part, digits = 6)

#' @rdname compare
#' @param digits significant digits.
#' @export
print.laplace_comparison <- function(x, digits = max(3, getOption("digits") - 3), ...) {
  check_no_more(..., allowed = PRINTED)
  rows <- attr(x, "rows")
  # A part of the table, x[1:2, "nll"], has lost the attributes.
  if (!is.null(rows)) cat(sprintf("Scores on %s rows:\n", format(rows)))
  shown <- t(as.matrix(as.data.frame(x)))
  cells <- vapply(shown, function(value) format(signif(value, digits), scientific = FALSE), "")
  print(structure(cells, dim = dim(shown), dimnames = dimnames(shown)), quote = FALSE, right = TRUE)
  from <- attr(x, "temperature_from")
  if (!is.null(from)) {
    source <- if (from == "validation") "the held-out rows of the fit" else {
      "these rows; each tenth is scored with the temperature of the others"
    }
    note <- sprintf("Temperature %s, fitted to %s.", format(attr(x, "temperature"), digits = digits), source)
    writeLines(wrapped("", paste(c(note, attr(x, "temperature_note")), collapse = " ")))
  }
  outputs <- attr(x, "by_output")
  if (!is.null(outputs)) {
    cat("Each output alone:\n")
    scores <- c("nll", "crps", "rmse", "deviance", "coverage_90", "width_90")
    shown <- c("of", "output", intersect(scores, names(outputs)))
    print(format(outputs[shown], digits = digits), row.names = FALSE)
  }
  told <- attr(x, "outliers")
  if (!is.null(told)) {
    cat("Outliers, told by the doubt of:\n")
    print(format(told, digits = digits))
  }
  invisible(x)
}
