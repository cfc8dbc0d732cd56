# From data to a fitted object.

#' Fits to a matrix of features.
#' @noRd
fit_matrix <- function(network, x, y, na_action, options, settings, call) {
  x <- as_features(x)
  check_same_rows(x, y)
  # What a mask leaves out may be missing.
  y <- with_masked(y, options$mask, 0)
  complete <- complete_rows(x) & complete_rows(y)
  na_action <- omitted_rows(complete, match.fun(if (is.null(na_action)) stats::na.omit else na_action))
  if (!is.null(na_action)) {
    x <- rows_of(x, -na_action)
    y <- if (is.data.frame(y)) y[-na_action, , drop = FALSE] else rows_of(y, -na_action)
    if (!is.null(options$mask)) options$mask <- rows_of(options$mask, -na_action)
    if (!is.null(options$weights)) options$weights <- options$weights[-na_action]
  }
  described <- list(na.action = na_action)
  fit_network(network, x, y, matrix_validation(settings$validation), options, settings, described, call)
}

#' Labels with a value in place of those that a mask leaves out; the labels themselves without a mask.
#' @noRd
with_masked <- function(y, mask, value) {
  if (is.null(mask)) return(y)
  if (!(is.logical(mask) || is.numeric(mask)) || anyNA(mask) || !is.array(y) || !identical(dim(mask), dim(y))) {
    laplace_stop(
      paste0(
        "`mask` must say of each label whether it counts: TRUE or FALSE in the shape of `y`, a matrix of labels with ",
        "a row for each example and a column for each position."
      ),
      "BAD_ARRAY", list(array = "mask")
    )
  }
  y[mask == 0] <- value
  y
}

#' How often each row counts, as it is sent; NULL without weights.
#' @noRd
as_weights <- function(weights, rows) {
  if (is.null(weights)) return(NULL)
  if (!is.numeric(weights) || length(weights) != rows) {
    laplace_stop(
      sprintf("`weights` must be numbers, one for each of the %d rows; got %d.", rows, length(weights)),
      "SHAPE_MISMATCH", list(expected = rows, actual = length(weights))
    )
  }
  list(sampleWeight = as_wire_array(as.double(weights)))
}

#' Fits to a prepared model frame.
#' @noRd
fit_frame <- function(network, prepared, options, settings, call) {
  described <- list(
    terms = prepared$terms, xlevels = prepared$xlevels, contrasts = prepared$contrasts,
    na.action = prepared$na_action, frame = prepared$frame
  )
  validation <- frame_validation(settings$validation, prepared)
  if (!is.null(options$weights) && !is.null(prepared$na_action)) {
    options$weights <- options$weights[-prepared$na_action]
  }
  fit_network(network, prepared$x, prepared$y, validation, options, settings, described, call)
}

#' Fits a network to features x (n x d, or an array with n rows) and a response; keeps what predictions need of them.
#' @noRd
fit_network <- function(network, x, y, validation, options, settings, described, call) {
  y <- with_masked(y, options$mask, if (has_numbers(settings)) NaN else -100)
  options$mask <- NULL
  weights <- as_weights(options$weights, nrow(x))
  options$weights <- NULL
  check_options(options)
  x <- in_network_order(network, x)
  if (length(dim(x)) == 2) described["features"] <- list(if (!is_inputs(x)) colnames(x))
  known <- if (inherits(network, "nnet")) nnet_levels(network)
  likelihood <- settings$likelihood
  if (is.null(likelihood) && inherits(network, "nnet")) likelihood <- nnet_likelihood(network)
  if (is.null(likelihood)) {
    laplace_stop(
      sprintf("`likelihood` must be given: one of %s.", quoted_list(LIKELIHOODS)), "BAD_OPTION",
      list(option = "likelihood")
    )
  }
  one_of(likelihood, LIKELIHOODS, "likelihood")
  response <- as_response(y, likelihood, known)
  options["class_weight"] <- list(ordered_class_weight(options$class_weight, response$levels))
  data <- c(list(x = as_wire_examples(x), y = as_wire_array(response$y)), weights)
  settings["validation"] <- list(wire_validation(validation, network, likelihood, response))
  hints <- options[intersect(names(NETWORK_HINTS), names(options))]
  fitted <- fit_on_server(network_params(network, hints), wire_options(options, likelihood), x, data, settings)
  object <- c(
    list(call = call, levels = response$levels, labels = response$labels), described,
    list(x = x, y = y, options = options)
  )
  fitted$summary$notes <- with_levels(surprising(fitted$summary$notes, network), response$levels)
  result <- new_laplace(object, fitted$summary, fitted$blob, fitted$remote)
  announce(result$notes)
  result
}

#' Weights of classes in the order of the levels, where they are named by them.
#' @noRd
ordered_class_weight <- function(class_weight, levels) {
  if (is.null(names(class_weight)) || is.null(levels)) return(class_weight)
  if (!setequal(names(class_weight), levels)) {
    laplace_stop(
      sprintf("`class_weight` must name each level once: %s.", quoted_list(levels)), "BAD_OPTION",
      list(option = "class_weight")
    )
  }
  unlist(class_weight)[levels]
}

#' Tells notes as messages, and contradictions between network and data as warnings.
#' @noRd
announce <- function(notes) {
  for (note in Filter(Negate(is_warning), notes)) tell(note)
  for (note in Filter(is_warning, notes)) laplace_warn(without_prefix(note), "laplace_warning_mismatch")
}

#' That an nnet object ends in softmax or a logistic function, and what that means, is no news to who made it.
#' @noRd
surprising <- function(notes, network) {
  notes <- unlist(notes)
  if (inherits(network, "nnet")) notes[!grepl("^The (network ends in|nnet object was fitted with) ", notes)] else notes
}

#' Notes that count classes from 0, with the levels of the response that they mean.
#' @noRd
with_levels <- function(notes, levels) {
  if (length(levels) == 0 || length(levels) > 20) return(notes)
  numbers <- paste(sprintf("%d is %s", seq_along(levels) - 1L, sQuote(levels, FALSE)), collapse = ", ")
  counted <- grepl("(counted from 0)", notes, fixed = TRUE)
  notes[counted] <- sprintf("%s Here %s.", notes[counted], numbers)
  notes
}

#' Columns in the order of an nnet formula fit, which knows their names: `y ~ b + a` must not feed `a` to the input of
#' `b`.
#' @noRd
in_network_order <- function(network, x) {
  wanted <- if (inherits(network, "nnet.formula")) network$coefnames
  given <- if (length(dim(x)) == 2 && !is_inputs(x)) colnames(x)
  if (is.null(given) || is.null(wanted) || anyDuplicated(wanted) || length(given) != length(wanted)) return(x)
  if (!setequal(wanted, given)) {
    laplace_stop(
      sprintf(
        paste0(
          "The columns of `x` are not those that the network was fitted to: it has %s, and `x` has not. Name them so, ",
          "or take the names away (unname) where the order is right."
        ),
        quoted_list(setdiff(wanted, given))
      ),
      "BAD_ARRAY", list(expected = as.list(wanted), actual = as.list(given))
    )
  }
  x[, wanted, drop = FALSE]
}
