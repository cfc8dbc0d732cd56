# Uncertainty of the data and of the network.

#' Uncertainty of the data and of the network
#'
#' Splits the uncertainty of predictions in two: *aleatoric*, which more data would not take away, and *epistemic*, the
#' network's own ignorance, large where there was little data.
#'
#' @inheritParams predict.laplace
#' @section Novelty:
#' A row that is unlike the training data makes the outputs of the network more uncertain than training rows do that
#' were left out of the fit. `novelty` is the share of training rows at least as uncertain as the row (a p-value: small
#' means unlike the training data), `novelty_score` the uncertainty itself. Both are there after fits with `tune =
#' "auto"` or `"validated"`. A posterior over the last layer sees the features of the network alone.
#'
#' @return A data frame with a row for each row of `newdata` and the columns `aleatoric`, `epistemic` and `total`
#'   (variances in regression, entropies in nats for classes), and `novelty` and `novelty_score` where the fit keeps
#'   what they need. Where there are several outputs that are uncertain by themselves (regression on several
#'   responses, multilabel), a list of matrices, and vectors for novelty.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' laplace_uncertainty(laplace(fit), data.frame(speed = c(0.1, 0.3, 0.9)))
#' \dontshow{close(laplace_server())}
laplace_uncertainty <- function(object, newdata, seed = NULL, na.action = stats::na.pass) {
  if (is_mixture(object)) check_read_alike(object, newdata)
  rows <- if (missing(newdata)) training_rows(object) else new_features(object, newdata, match.fun(na.action))
  answer <- predicted(
    object, rows_of(rows$x, rows$keep), list(seed = seed, uncertainty = TRUE)
  )
  parts <- lapply(answer[c("aleatoric", "epistemic")], function(part) {
    part <- with_missing(part, rows$keep)
    if (!is.null(dim(part)) && ncol(part) == 1) part[, 1] else part
  })
  parts$total <- parts$aleatoric + parts$epistemic
  parts <- c(parts, lapply(novelty_of(answer), with_missing, rows$keep))
  if (!is.null(dim(parts$total))) return(parts)
  as.data.frame(parts, row.names = rows$names)
}

#' Novelty and its score of an answer, by R's names; none where the fit does not keep what they need.
#' @noRd
novelty_of <- function(answer) {
  found <- answer[intersect(c("novelty", "noveltyScore"), names(answer))]
  found <- lapply(found[!vapply(found, is.null, NA)], as.vector)
  stats::setNames(found, snake(names(found)))
}
