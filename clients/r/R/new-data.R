# New data, treated as the data of the fit were.

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
  check_that(is.data.frame(newdata) || is.atomic(newdata) || is.list(newdata), "newdata", "a data frame")
  if (!is.data.frame(newdata)) newdata <- as.data.frame(newdata)
  terms <- stats::delete.response(object$terms)
  missing <- setdiff(all.vars(terms), c(names(newdata), ls(environment(terms))))
  if (length(missing) > 0) stop_columns(missing)
  frame <- frame_as_fitted(terms, newdata, object$xlevels, stats::na.pass, "newdata")
  design <- without_intercept(stats::model.matrix(terms, frame, object$contrasts))
  design[, object$features, drop = FALSE]
}

#' The model frame of rows that came after the fit: their columns are of its kinds, and their factors have its levels.
#' @noRd
frame_as_fitted <- function(terms, rows, xlevels, na_action, what) {
  refuse <- function(condition) {
    laplace_stop(
      sprintf(
        "`%s` does not fit the formula: %s. Give its columns the kinds and levels that they had in the fit.", what,
        sub("[.]$", "", conditionMessage(condition))
      ),
      "BAD_ARRAY", list(array = what)
    )
  }
  tryCatch(
    {
      # That a column is no factor is a warning here, and an error below.
      frame <- suppressWarnings(stats::model.frame(terms, rows, na.action = na_action, xlev = xlevels))
      classes <- attr(terms, "dataClasses")
      if (!is.null(classes)) stats::.checkMFClasses(classes, frame)
      frame
    },
    error = refuse
  )
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
