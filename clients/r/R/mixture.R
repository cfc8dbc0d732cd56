# Several posteriors that predict as one.

#' Several posteriors that predict as one
#'
#' A mixture of the posteriors of several networks, or of snapshots of one (Eschenhagen et al. 2021): probabilities are
#' the weighted means of the members', and of numbers mean and variance are those of the mixture, so that the members'
#' disagreement is part of the standard error.
#'
#' @param ... fitted `laplace` objects of one likelihood and as many outputs, or one list of them.
#' @param weights one for each, not negative; they are scaled to sum to 1. Equal ones by default.
#' @param object a mixture.
#' @param newdata as in [predict.laplace()]; a formula fit reads it by its own terms.
#' @param type `"response"` (means in regression, probabilities otherwise), `"prob"` or `"class"`; of regressions
#'   `"conf_int"`, `"pred_int"` and `"quantile"`, those of the mixture's distribution; `"samples"`, each of a member
#'   drawn by its weight.
#' @param level of intervals.
#' @param quantiles their probabilities.
#' @param n_samples number of draws.
#' @param seed of the draws.
#' @param se.fit whether to give standard errors too: the result is then a list of `fit`, `se.fit` and, in regression,
#'   `residual.scale`.
#' @return `mixture()`: an object of class `laplace_mixture` with `members` and `weights`. `predict()`: as
#'   [predict.laplace()] of one member.
#' @references Eschenhagen, Daxberger, Hennig and Kristiadi (2021) Mixtures of Laplace Approximations for Improved
#'   Post-Hoc Uncertainty in Deep Learning. arXiv:2111.03577.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fits <- lapply(1:2, function(i) {
#'   nnet::nnet(Species ~ ., iris, size = 4, decay = 0.01, trace = FALSE)
#' })
#' both <- mixture(laplace(fits[[1]]), laplace(fits[[2]]))
#' head(predict(both, iris, type = "prob"))
#' \dontshow{close(laplace_server())}
mixture <- function(..., weights = NULL) {
  members <- list(...)
  if (length(members) == 1 && !inherits(members[[1]], "laplace") && is.list(members[[1]])) members <- members[[1]]
  if (length(members) == 0 || !all(vapply(members, inherits, NA, "laplace"))) {
    laplace_stop("A mixture needs fitted `laplace` objects, at least one.", "BAD_OPTION", list(option = "members"))
  }
  kind <- function(one) sprintf("%s of %d outputs", one$likelihood, as.integer(one$outputs))
  kinds <- unique(vapply(members, kind, ""))
  if (length(kinds) > 1) {
    laplace_stop(
      paste0(
        "The posteriors of a mixture have one likelihood and as many outputs; got ", paste(kinds, collapse = ", "), "."
      ),
      "BAD_COMBINATION", list(option = "members")
    )
  }
  structure(list(members = unname(members), weights = mixture_weights(weights, length(members))),
    class = "laplace_mixture")
}

mixture_weights <- function(weights, count) {
  if (is.null(weights)) weights <- rep(1, count)
  if (!is.numeric(weights) || length(weights) != count || !all(is.finite(weights)) || any(weights < 0) ||
    sum(weights) == 0) {
    laplace_stop(
      sprintf(
        "`weights` of a mixture are one number for each of its %d posteriors, not negative and not all 0.", count
      ),
      "BAD_OPTION", list(option = "weights")
    )
  }
  as.double(weights) / sum(weights)
}

#' @rdname mixture
#' @export
predict.laplace_mixture <- function(object, newdata, type = c(
                                      "response", "prob", "class", "conf_int", "pred_int", "quantile", "samples"
                                    ), se.fit = FALSE, level = 0.95, quantiles = c(0.025, 0.25, 0.5, 0.75, 0.975),
                                    n_samples = 100, seed = NULL, ...) {
  types <- c("response", "prob", "class", "conf_int", "pred_int", "quantile", "samples")
  type <- if (missing(type)) "response" else one_of(type, types, "type")
  rows <- if (missing(newdata)) list() else list(newdata)
  if (type == "samples") return(mixture_samples(object, rows, n_samples, seed, ...))
  if (type %in% c("conf_int", "pred_int", "quantile")) {
    p <- if (type == "quantile") quantiles else c((1 - level) / 2, (1 + level) / 2)
    return(mixture_quantiles(object, rows, p, noise = type != "conf_int", ends = type != "quantile", ...))
  }
  ask_each <- function(type, se.fit) {
    lapply(object$members, function(one) do.call(predict, c(list(one), rows, list(type = type, se.fit = se.fit, ...))))
  }
  mean_of <- function(values) Reduce(`+`, Map(`*`, values, object$weights))
  if (type == "class") {
    # Of classes alone a mean says which: the members' own answers would be votes.
    answers <- ask_each("class", FALSE)
    if (!is.factor(answers[[1]])) {
      laplace_stop("type = \"class\" of a mixture needs exclusive classes; use \"response\".", "BAD_COMBINATION",
        list(option = "type"))
    }
    best <- max.col(mean_of(ask_each("prob", FALSE)), ties.method = "first")
    return(factor(levels(answers[[1]])[best], levels = levels(answers[[1]])))
  }
  answers <- ask_each(type, se.fit)
  if (!se.fit) return(mean_of(answers))
  fits <- lapply(answers, `[[`, "fit")
  fit <- mean_of(fits)
  squares <- Map(function(one, own) one$se.fit^2 + (own - fit)^2, answers, fits)
  result <- list(fit = fit, se.fit = sqrt(mean_of(squares)))
  if (!is.null(answers[[1]]$residual.scale)) {
    result$residual.scale <- sqrt(mean_of(lapply(answers, function(one) one$residual.scale^2)))
  }
  result
}

#' The q with sum_k w_k Phi((q - m_k) / s_k) = p, which lies between the members' own quantiles: n x p of one output,
#' n x C x p of several.
#' @noRd
mixture_quantiles <- function(object, rows, p, noise, ends, ...) {
  if (object$members[[1]]$likelihood != "regression") {
    laplace_stop(
      paste("Intervals and quantiles of a mixture are of regressions, whose members are Gaussian; take draws",
        "(type = \"samples\"), or ask one of the members."), "BAD_COMBINATION", list(option = "type")
    )
  }
  if (!is.numeric(p) || length(p) == 0 || anyNA(p) || any(p <= 0 | p >= 1)) {
    laplace_stop("Levels and quantiles of a mixture lie between 0 and 1.", "BAD_OPTION", list(option = "quantiles"))
  }
  answers <- lapply(object$members, function(one) do.call(predict, c(list(one), rows, list(se.fit = TRUE, ...))))
  means <- lapply(answers, function(one) as.matrix(one$fit))
  spread <- function(one) {
    se <- as.matrix(one$se.fit)
    sqrt(se^2 + if (noise) rep(one$residual.scale^2, each = nrow(se), length.out = length(se)) else 0)
  }
  deviations <- lapply(answers, spread)
  shape <- dim(means[[1]])
  of_probability <- function(share) {
    own <- Map(function(mean, sd) mean + stats::qnorm(share) * sd, means, deviations)
    low <- do.call(pmin, own)
    high <- do.call(pmax, own)
    for (step in 1:60) {
      middle <- (low + high) / 2
      below <- Reduce(`+`, Map(function(mean, sd, w) w * stats::pnorm(middle, mean, sd), means, deviations,
        object$weights)) < share
      low[below] <- middle[below]
      high[!below] <- middle[!below]
    }
    high
  }
  values <- array(vapply(p, of_probability, array(0, shape)), c(shape, length(p)))
  names <- if (ends) c("lower", "upper") else paste0(format(100 * p, trim = TRUE), "%")
  dimnames(values) <- list(NULL, colnames(means[[1]]), names)
  without_single_output(values)
}

#' Draws of predictions, each of a member drawn by its weight, in the last axis.
#' @noRd
mixture_samples <- function(object, rows, n_samples, seed, ...) {
  if (is.null(seed)) seed <- sample.int(.Machine$integer.max, 1)
  chosen <- with_seed(seed, sample.int(length(object$members), n_samples, replace = TRUE, prob = object$weights))
  result <- NULL
  for (k in unique(chosen)) {
    own <- do.call(predict, c(object$members[k], rows,
      list(type = "samples", n_samples = sum(chosen == k), seed = seed, ...)))
    extents <- dim(own)
    flat <- matrix(own, ncol = extents[length(extents)])
    if (is.null(result)) result <- matrix(0, nrow(flat), n_samples)
    result[, chosen == k] <- flat
  }
  array(result, c(extents[-length(extents)], n_samples))
}

#' @export
print.laplace_mixture <- function(x, ...) {
  check_no_more(..., allowed = PRINTED)
  cat(sprintf("A mixture of %d posteriors (%s), weights %s\n", length(x$members), x$members[[1]]$likelihood,
    paste(format(x$weights, digits = 3), collapse = " ")))
  invisible(x)
}
