# The arrays of a network of several inputs, which share their rows.

#' A named list of arrays with one row an example each; it has the rows of its arrays as its own.
#' @noRd
new_inputs <- function(arrays) {
  counts <- vapply(arrays, function(array) dim(array)[1], 0)
  if (length(unique(counts)) > 1) {
    laplace_stop(
      sprintf("All inputs must have the same number of rows: %s.", paste(names(arrays), counts, collapse = ", ")),
      "SHAPE_MISMATCH", list(actual = as.list(counts))
    )
  }
  structure(arrays, class = "laplace_inputs")
}

is_inputs <- function(x) inherits(x, "laplace_inputs")

#' @export
dim.laplace_inputs <- function(x) c(dim(x[[1]])[1], sum(vapply(unclass(x), function(array) prod(dim(array)[-1]), 0)))

#' Examples as the server takes them: an array, with the names of its columns, or an array for each input.
#' @noRd
as_wire_examples <- function(x) {
  if (is_inputs(x)) {
    arrays <- unclass(x)
    return(unname(Map(function(array, name) c(as_wire_array(array), list(name = name)), arrays, names(arrays))))
  }
  columns <- if (length(dim(x)) == 2) colnames(x)
  if (is.null(columns) || anyDuplicated(columns) || length(columns) > MAX_ITEMS) return(as_wire_array(x))
  list(c(as_wire_array(x), list(columns = as.list(columns))))
}
