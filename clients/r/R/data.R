# Data from R as the server takes it, and what must be remembered to do the same to new data.

#' Rows of features as a numeric matrix (or array), with the names of the columns.
#' @noRd
as_features <- function(x, name = "x") {
  if (is.data.frame(x)) {
    numbers <- vapply(x, function(column) is.numeric(column) || is.logical(column), NA)
    if (!all(numbers)) {
      laplace_stop(
        sprintf(
          "Column '%s' of `%s` is not numeric. The formula method codes factors: laplace(y ~ ., data, model = ).",
          names(x)[!numbers][1], name
        ),
        "BAD_ARRAY", list(array = name, column = names(x)[!numbers][1])
      )
    }
    x <- as.matrix(x, rownames.force = TRUE)
  }
  if (!is.numeric(x) && !is.logical(x)) {
    laplace_stop(
      sprintf("`%s` must be a numeric matrix or data frame; it is of class %s.", name, class(x)[1]), "BAD_ARRAY"
    )
  }
  if (is.null(dim(x))) x <- matrix(x, ncol = 1, dimnames = list(names(x), NULL))
  if (length(x) == 0) laplace_stop(sprintf("`%s` has no rows.", name), "EMPTY_DATA")
  storage.mode(x) <- "double"
  x
}

#' Rows of a matrix or an array with more axes.
#' @noRd
rows_of <- function(x, index) {
  if (is.null(dim(x))) return(x[index])
  if (length(dim(x)) == 2) return(x[index, , drop = FALSE])
  taken <- matrix(x, dim(x)[1])[index, , drop = FALSE]
  array(taken, c(nrow(taken), dim(x)[-1]))
}

complete_rows <- function(x) {
  if (is.null(dim(x))) return(!is.na(x))
  if (is.data.frame(x)) return(stats::complete.cases(x))
  !rowSums(is.na(matrix(x, dim(x)[1]))) > 0
}

#' What a function such as na.omit does to rows with missing values: the rows to leave out, as it marks them, or NULL.
#' @noRd
omitted_rows <- function(complete, na_action) {
  if (all(complete)) return(NULL)
  attr(na_action(data.frame(complete = ifelse(complete, 1, NA_real_))), "na.action")
}

count_rows <- function(y) if (is.null(dim(y))) length(y) else dim(y)[1]

check_same_rows <- function(x, y) {
  if (dim(x)[1] != count_rows(y)) {
    laplace_stop(
      sprintf("`x` has %d rows and `y` has %d.", dim(x)[1], count_rows(y)), "SHAPE_MISMATCH",
      list(expected = dim(x)[1], actual = count_rows(y))
    )
  }
}

# --- responses ---

#' A response as the likelihood needs it: list(y, levels, labels).
#'
#' levels: class names in order. labels: names of the columns where there are several outputs.
#' @param known levels that the network was trained with, NULL when it does not say.
#' @noRd
as_response <- function(y, likelihood, known = NULL) {
  if (is.data.frame(y)) y <- if (ncol(y) == 1) y[[1]] else as.matrix(y)
  switch(likelihood,
    classification = class_response(y, known),
    binary = binary_response(y, known),
    multilabel = list(y = as_columns(y + 0, "y"), levels = NULL, labels = colnames(y)),
    regression = regression_response(y),
    list(y = as_columns(y, "y"), levels = NULL, labels = colnames(y))
  )
}

regression_response <- function(y) {
  if (!is.numeric(y) && !is.logical(y)) {
    laplace_stop(
      sprintf("Regression needs numbers; `y` is of class %s. Is the likelihood \"classification\"?", class(y)[1]),
      "BAD_LABELS"
    )
  }
  list(y = as_columns(y, "y"), levels = NULL, labels = colnames(y))
}

as_columns <- function(y, name) {
  if (!is.numeric(y)) laplace_stop(sprintf("`%s` must be numeric; it is of class %s.", name, class(y)[1]), "BAD_LABELS")
  if (is.null(dim(y))) y <- matrix(y, ncol = 1)
  storage.mode(y) <- "double"
  dimnames(y) <- NULL
  y
}

#' Labels as a factor with the network's levels; numbers stay numbers.
#' @noRd
as_labels <- function(y, known) {
  if (is.matrix(y) && ncol(y) == 1) y <- y[, 1]
  if (is.matrix(y)) return(y)
  if (is.numeric(y)) return(as.vector(y))
  if (is.logical(y)) y <- factor(y, levels = c(FALSE, TRUE))
  if (!is.factor(y)) y <- factor(y)
  if (is.null(known)) return(y)
  unknown <- setdiff(as.character(y[!is.na(y)]), known)
  if (length(unknown) > 0) {
    laplace_stop(
      sprintf(
        "`y` has labels that the network was not trained on: %s. Its levels are %s.",
        quoted_list(unknown), quoted_list(known)
      ),
      "BAD_LABELS", list(unknown = as.list(unknown))
    )
  }
  factor(as.character(y), levels = known)
}

quoted_list <- function(words) paste0("\"", utils::head(words, 5), "\"", collapse = ", ")

class_response <- function(y, known) {
  labels <- as_labels(y, known)
  if (is.matrix(labels)) labels <- indicated(labels, known)
  if (is.factor(labels)) return(list(y = as.double(labels) - 1, levels = levels(labels)))
  list(y = as.double(labels), levels = known)
}

#' The classes of an indicator matrix, as class.ind() of nnet makes it.
#' @noRd
indicated <- function(y, known) {
  if (is.null(known) || ncol(y) != length(known) || !all(y %in% c(0, 1)) || any(rowSums(y) != 1)) {
    laplace_stop(
      paste0(
        "`y` is a matrix with several columns; classes are given as a factor (or as numbers 0, 1, 2, ...). For an ",
        "indicator matrix: factor(colnames(y)[max.col(y)])."
      ),
      "BAD_LABELS"
    )
  }
  factor(known[max.col(y, ties.method = "first")], levels = known)
}

binary_response <- function(y, known) {
  # TRUE is the second level, whatever its name.
  if (is.logical(y)) {
    return(list(y = as_columns(y + 0, "y"), levels = if (is.null(known)) c("FALSE", "TRUE") else known))
  }
  labels <- as_labels(y, known)
  if (is.factor(labels)) {
    if (nlevels(labels) != 2) {
      laplace_stop(
        sprintf("The likelihood \"binary\" needs two classes; `y` has %d levels.", nlevels(labels)), "BAD_LABELS"
      )
    }
    return(list(y = matrix(as.double(labels) - 1, ncol = 1), levels = levels(labels)))
  }
  list(y = as_columns(labels, "y"), levels = known)
}

# --- formulas ---

#' What a formula makes of data: features without intercept, response, and what new data needs.
#' @noRd
formula_data <- function(formula, data, na_action, contrasts = NULL) {
  frame <- stats::model.frame(formula, data, na.action = na_action, drop.unused.levels = TRUE)
  frame_data(frame, contrasts)
}

frame_data <- function(frame, contrasts = NULL) {
  terms <- attr(frame, "terms")
  y <- stats::model.response(frame)
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

# --- new data ---

#' Rows of features from new data: list(x, keep, names), where keep marks the rows without missing values.
#' @noRd
new_features <- function(object, newdata, na_action = stats::na.pass) {
  x <- if (is.null(object$terms)) {
    as_features(matched_columns(object, newdata), "newdata")
  } else {
    design_of(object, newdata)
  }
  complete <- complete_rows(x)
  omitted <- omitted_rows(complete, na_action)
  kept <- if (is.null(omitted)) seq_len(dim(x)[1]) else seq_len(dim(x)[1])[-omitted]
  # na.exclude and na.pass give a row for each row; na.omit leaves them out.
  dropped <- inherits(omitted, "omit")
  x <- if (dropped) rows_of(x, kept) else x
  list(x = x, keep = if (dropped) complete[kept] else complete, names = rownames(x))
}

design_of <- function(object, newdata) {
  if (!is.data.frame(newdata)) newdata <- as.data.frame(newdata)
  terms <- stats::delete.response(object$terms)
  missing <- setdiff(all.vars(terms), c(names(newdata), ls(environment(terms))))
  if (length(missing) > 0) stop_columns(missing)
  frame <- stats::model.frame(terms, newdata, na.action = stats::na.pass, xlev = object$xlevels)
  classes <- attr(terms, "dataClasses")
  if (!is.null(classes)) stats::.checkMFClasses(classes, frame)
  design <- without_intercept(stats::model.matrix(terms, frame, object$contrasts))
  design[, object$features, drop = FALSE]
}

stop_columns <- function(missing) {
  laplace_stop(
    sprintf("`newdata` lacks the column%s %s.", if (length(missing) == 1) "" else "s", quoted_list(missing)),
    "SHAPE_MISMATCH", list(missing = as.list(missing))
  )
}

#' Columns by name where both have names, in the order of the fit.
#' @noRd
matched_columns <- function(object, x) {
  wanted <- object$features
  if (is.null(wanted) || is.null(colnames(x)) || length(dim(x)) != 2) return(x)
  missing <- setdiff(wanted, colnames(x))
  if (length(missing) > 0) stop_columns(missing)
  if (is.data.frame(x)) x[wanted] else x[, wanted, drop = FALSE]
}

#' Puts rows back where there were missing values.
#' @noRd
with_missing <- function(values, keep) {
  if (all(keep)) return(values)
  index <- rep(NA_integer_, length(keep))
  index[keep] <- seq_len(sum(keep))
  rows_of(values, index)
}
