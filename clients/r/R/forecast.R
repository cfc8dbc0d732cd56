# What a fit will take, before anything is computed.

#' What a fit will take
#'
#' Says how much memory and time a fit to so many rows will take, its predictions, draws and its file, before anything
#' is computed: from the shapes of the network alone.
#'
#' @param object a network, as for [laplace()].
#' @param rows number of rows of the fit.
#' @param likelihood,subset,structure,... as for [laplace()].
#' @param batch rows that are given at a time, where they come in batches.
#' @param predict rows of one prediction; by default as many as are fitted, 1,000 at most.
#' @param samples draws of the outputs of these rows.
#' @return An object of class `laplace_forecast`, a list of `bytes` (the most that any stage takes, beyond what the
#'   server holds before), `seconds` (of all together) and `stages`, a data frame with a row for each stage.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' forecast_laplace(fit, 1e5, "regression")
#' \dontshow{close(laplace_server())}
forecast_laplace <- function(object, rows, likelihood, subset = "auto", structure = "auto", ..., batch = NULL,
                             predict = NULL, samples = NULL) {
  counts <- list(rows = rows, batch = batch, predict = predict, samples = samples)
  counts <- counts[!vapply(counts, is.null, NA)]
  for (name in names(counts)) counts[[name]] <- as_count(counts[[name]], name)
  options <- c(list(subset = subset, structure = structure), list(...))
  params <- fit_params(object, one_of(likelihood, LIKELIHOODS, "likelihood"), options)
  answer <- request(laplace_server(), "forecast", c(params, counts))
  column <- function(name) vapply(answer$stages, `[[`, answer$stages[[1]][[name]], name)
  stages <- data.frame(stage = column("stage"), bytes = column("bytes"), seconds = column("seconds"))
  structure(
    list(bytes = as.double(answer$bytes), seconds = answer$seconds, stages = stages), class = "laplace_forecast"
  )
}

as_count <- function(value, name) {
  if (is.numeric(value) && length(value) == 1 && is.finite(value) && value >= 1 && value == round(value)) {
    return(as.double(value))
  }
  laplace_stop(sprintf("`%s` must be a whole number above 0.", name), "BAD_OPTION", list(option = name))
}

#' @export
print.laplace_forecast <- function(x, ...) {
  check_no_more(..., allowed = PRINTED)
  shown <- rbind(data.frame(stage = "all", bytes = x$bytes, seconds = x$seconds), x$stages)
  cat(sprintf("%-8s%12.1f MiB%12.2f s\n", shown$stage, shown$bytes / 2^20, shown$seconds), sep = "")
  invisible(x)
}
