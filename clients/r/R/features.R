# Rows of features as the server takes them.

#' Rows of features as a numeric matrix (or array), with the names of the columns; of several inputs as a list of them.
#' @noRd
as_features <- function(x, name = "x") {
  if (is_inputs(x)) return(x)
  if (is.list(x) && !is.data.frame(x) && length(x) > 0 && !is.null(names(x))) {
    each <- Map(function(array, input) as_features(array, sprintf("%s$%s", name, input)), x, names(x))
    return(new_inputs(each))
  }
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
  if (is_inputs(x)) return(new_inputs(lapply(unclass(x), rows_of, index)))
  if (is.null(dim(x))) return(x[index])
  if (length(dim(x)) == 2) return(x[index, , drop = FALSE])
  taken <- matrix(x, dim(x)[1])[index, , drop = FALSE]
  array(taken, c(nrow(taken), dim(x)[-1]))
}

complete_rows <- function(x) {
  if (is_inputs(x)) return(Reduce(`&`, lapply(unclass(x), complete_rows)))
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
