#' Printing and summaries
#'
#' Says what was chosen and why, prior precision and noise, how network and posterior do on the training rows and on
#' rows left out, and where network and data contradict each other.
#'
#' @param x,object a fitted `laplace` object, or its summary.
#' @param digits significant digits.
#' @param ... not used.
#' @return `summary()` gives an object of class `summary.laplace` with a row for each weight tensor: number of weights,
#'   root mean square of the weights, and mean posterior standard deviation. The print methods return their argument.
#' @export
print.laplace <- function(x, digits = max(3, getOption("digits") - 3), ...) {
  check_no_more(..., allowed = PRINTED)
  if (!is.null(x$call)) cat("Call:\n", paste(deparse(x$call, width.cutoff = 80), collapse = "\n"), "\n\n", sep = "")
  cat(headline(x), "\n", sep = "")
  cat(sprintf("%s parameters, %s examples\n", format(x$parameter_count), format(x$nobs)))
  writeLines(wrapped("Parameters: ", show_parameters(x$parameters)))
  writeLines(choice_lines(x$choice, digits))
  evidence <- show_number(x$log_marginal_likelihood, digits)
  cat("Log marginal likelihood (at the network's weights): ", evidence, "\n", sep = "")
  cat("Prior precision: ", show_prior(x, digits), "\n", sep = "")
  if (x$likelihood == "regression") {
    cat("Noise (standard deviation): ", show_noise(x$sigma_noise, digits), "\n", sep = "")
  }
  print_training(x, digits)
  if (!is.null(x$levels)) cat("Levels: ", paste(x$levels, collapse = ", "), "\n", sep = "")
  for (note in Filter(Negate(is_warning), x$notes)) writeLines(wrapped("Note: ", note))
  for (note in Filter(is_warning, x$notes)) writeLines(wrapped("", note))
  invisible(x)
}

#' The tensors that the posterior is over, with their shapes.
#' @noRd
show_parameters <- function(table, most = 8) {
  named <- utils::head(sprintf("%s (%s)", table$name, ifelse(nzchar(table$shape), table$shape, "a number")), most)
  more <- nrow(table) - length(named)
  paste0(paste(named, collapse = ", "), if (more > 0) sprintf(" and %d more", more))
}

headline <- function(x) {
  subset <- if (is.character(x$subset)) gsub("_", " ", paste(x$subset, collapse = ", ")) else "subnetwork"
  sprintf("Laplace approximation: %s, %s, structure %s, curvature %s", x$likelihood, subset, x$structure, x$curvature)
}

#' One number, or one for each output.
#' @noRd
show_noise <- function(sigma, digits) {
  shown <- vapply(sigma, function(value) format(value, digits = digits), "")
  paste(if (is.null(names(sigma))) shown else paste(names(sigma), shown), collapse = ", ")
}

#' Network and posterior on the training rows, and on rows left out.
#' @noRd
print_training <- function(x, digits) {
  left_out <- if (is.null(x$training$leave_one_out_nll)) x$choice$leave_one_out_nll else x$training$leave_one_out_nll
  if (!is.null(left_out)) {
    cat("Leave-one-out NLL of the linear model: ", format(left_out, digits = digits), "\n", sep = "")
  }
  if (is.null(x$training)) return()
  cat(sprintf("Scores on the %s training rows:\n", format(x$training$rows)))
  print(training_scores(x$training), digits = digits)
}

#' Not every structure has every number.
#' @noRd
show_number <- function(value, digits) if (is.null(value)) "not available" else format(value, digits = digits)

show_prior <- function(x, digits) {
  precision <- x$prior_precision
  shown <- if (length(precision) == 1) {
    format(precision, digits = digits)
  } else {
    sprintf(
      "%d values from %s to %s", length(precision), format(min(precision), digits = digits),
      format(max(precision), digits = digits)
    )
  }
  tuned <- if (is.character(x$tuned) && x$tuned != "none") sprintf(" (tuned: %s)", x$tuned) else ""
  effective <- if (is.null(x$effective_parameters)) {
    ""
  } else {
    sprintf(", %s effective parameters", format(x$effective_parameters, digits = digits))
  }
  paste0(shown, tuned, effective)
}

#' @rdname print.laplace
#' @export
summary.laplace <- function(object, ...) {
  check_no_more(...)
  values <- ask(object, "get", list(names = list("marginals")))$marginals
  # Where each output has a posterior of its own, the table is about all of them.
  weights <- colMeans(values$means)
  deviation <- colMeans(sqrt(values$variances))
  # A subnetwork of single weights has fewer of them than its tensors.
  whole <- sum(object$parameters$size) == length(weights)
  tensor <- if (whole) rep(seq_len(nrow(object$parameters)), object$parameters$size) else rep(1L, length(weights))
  table <- data.frame(
    parameter = if (whole) object$parameters$name else "subnetwork",
    shape = if (whole) object$parameters$shape else "",
    weights = as.vector(tapply(weights, tensor, length)),
    rms_weight = as.vector(tapply(weights, tensor, function(own) sqrt(mean(own^2)))),
    mean_sd = as.vector(tapply(deviation, tensor, mean)),
    stringsAsFactors = FALSE
  )
  structure(list(fit = object, table = table), class = "summary.laplace")
}

#' @rdname print.laplace
#' @export
print.summary.laplace <- function(x, digits = max(3, getOption("digits") - 3), ...) {
  check_no_more(..., allowed = PRINTED)
  print(x$fit, digits = digits)
  cat("\nWeights:\n")
  print(x$table, digits = digits, row.names = FALSE)
  invisible(x)
}
