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
#' @param type `"response"` (means in regression, probabilities otherwise), `"prob"` or `"class"`; `"conf_int"`,
#'   `"pred_int"` and `"quantile"`, those of the mixture's distribution; `"set"`, after [conformalize()]; `"samples"`,
#'   each of a member drawn by its weight.
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
#' @details
#' [conformalize()] and [compare()] take a mixture too: it is calibrated itself, by rows that no member has seen, and
#' scored beside the networks together. These, sets and intervals need members that read the rows alike; where they
#' centre them by rows of their own, prepare the features first.
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
  if (length(unique(lapply(members, function(one) one$levels))) > 1) {
    laplace_stop("The posteriors of a mixture have the same classes in the same order.", "BAD_COMBINATION",
      list(option = "members"))
  }
  common <- c("likelihood", "outputs", "levels", "labels", "terms", "xlevels", "contrasts", "na.action", "features",
    "choice", "x")
  # The environment holds the mixture's handle, once the server has it.
  structure(
    c(list(members = unname(members), weights = mixture_weights(weights, length(members))),
      members[[1]][intersect(common, names(members[[1]]))], list(remote = new.env(parent = emptyenv()))),
    class = "laplace_mixture"
  )
}

#' The handle of a mixture on a server, which is sent the members, and the rows of the calibration.
#' @noRd
mixed_on <- function(server, object) {
  blobs <- lapply(object$members, function(one) one$blob)
  handle <- request(server, "mix", list(members = blobs, weights = as_wire_array(object$weights)))$handle
  if (is.null(object$calibration)) return(handle)
  plain <- new_remote(server, handle)
  request(server, "conformalizeMixture", c(list(mixture = plain$handle), object$calibration))$handle
}

#' Refuses rows that the members read differently: on the server there is one array for all of them.
#' @noRd
check_read_alike <- function(object, newdata) {
  fitted <- missing(newdata)
  read <- lapply(object$members, function(one) {
    unname(if (fitted) one$x else new_features(one, newdata, stats::na.pass)$x)
  })
  if (length(unique(read)) == 1) return(invisible())
  if (fitted) {
    laplace_stop("The members were fitted to different rows: give `newdata`.", "BAD_COMBINATION",
      list(option = "newdata"))
  }
  laplace_stop(
    paste("The members read these rows differently, by formulas or by centres of their own: prepare the features",
      "first, and fit all members to the same columns."), "BAD_COMBINATION", list(option = "newdata")
  )
}

#' @rdname conformalize
#' @export
conformalize.laplace_mixture <- function(object, x, y, score = NULL, randomised = FALSE, seed = NULL, ...) {
  check_no_more(...)
  if (missing(x)) {
    laplace_stop(
      paste("A mixture is calibrated by rows that its members have not seen: conformalize(object, x, y). Training rows",
        "predicted without themselves are of one posterior."), "BAD_OPTION", list(option = "x")
    )
  }
  check_read_alike(object, x)
  object$calibration <- calibration_rows(object, x, y, score, randomised, seed)
  server <- laplace_server()
  answer <- make_remote(server, "conformalizeMixture", c(list(mixture = handle_of(object, server)), object$calibration))
  object$remote <- answer$remote
  object$conformal <- snake_names(answer$conformal)
  object
}

#' @rdname compare
#' @export
compare.laplace_mixture <- function(object, x, y, outliers = NULL, ...) {
  if (!missing(x)) check_read_alike(object, x)
  compare.laplace(object, x, y, outliers, ...)
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
                                      "response", "prob", "class", "conf_int", "pred_int", "quantile", "samples",
                                      "set"
                                    ), se.fit = FALSE, level = 0.95, quantiles = c(0.025, 0.25, 0.5, 0.75, 0.975),
                                    n_samples = 100, seed = NULL, ...) {
  types <- c("response", "prob", "class", "conf_int", "pred_int", "quantile", "samples", "set")
  type <- if (missing(type)) "response" else one_of(type, types, "type")
  rows <- if (missing(newdata)) list() else list(newdata)
  if (type == "samples") return(mixture_samples(object, rows, n_samples, seed, ...))
  if (type %in% c("conf_int", "pred_int", "quantile", "set")) {
    check_read_alike(object, newdata)
    return(predict.laplace(object, newdata, type, level = level, quantiles = quantiles, n_samples = NULL, seed = seed,
      ...))
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
