# What a formula makes of data.

#' What a formula makes of data: features without intercept, response, and what new data needs.
#' @noRd
formula_data <- function(formula, data, na_action, contrasts = NULL) {
  frame <- stats::model.frame(formula, data, na.action = na_action, drop.unused.levels = TRUE)
  # Of the response every level stays: without an empty one the levels after it would be other outputs of the network.
  frame_data(frame, contrasts, stats::model.response(stats::model.frame(formula, data, na.action = na_action)))
}

frame_data <- function(frame, contrasts = NULL, y = stats::model.response(frame)) {
  terms <- attr(frame, "terms")
  if (is.null(y)) laplace_stop("The formula has no response: write y ~ x1 + x2.", "BAD_OPTION")
  design <- stats::model.matrix(terms, frame, contrasts)
  list(
    x = without_intercept(design), y = y, terms = terms, xlevels = stats::.getXlevels(terms, frame),
    contrasts = attr(design, "contrasts"), na_action = attr(frame, "na.action"), frame = frame
  )
}

without_intercept <- function(design) {
  kept <- design[, colnames(design) != "(Intercept)", drop = FALSE]
  structure(kept, assign = NULL, contrasts = NULL)
}

#' The data that an nnet formula fit was trained on, made again from its call, or from `data`.
#' @noRd
nnet_data <- function(object, data = NULL, na_action = NULL) {
  environment <- environment(object$terms)
  call <- object$call
  from_call <- function(name) eval(call[[name]], environment)
  frame <- tryCatch(
    {
      arguments <- list(
        formula = object$terms, data = if (is.null(data)) from_call("data") else data, xlev = object$xlevels,
        na.action = if (!is.null(na_action)) {
          na_action
        } else if (!is.null(call$na.action)) {
          from_call("na.action")
        } else {
          stats::na.omit
        }
      )
      if (is.null(data) && !is.null(call$subset)) arguments$subset <- eval(call$subset, from_call("data"), environment)
      do.call(stats::model.frame, arguments)
    },
    error = function(condition) {
      laplace_stop(
        sprintf("The data of the fit could not be found again (%s); give it with data =.", conditionMessage(condition)),
        "BAD_OPTION"
      )
    }
  )
  frame_data(frame, object$contrasts)
}
