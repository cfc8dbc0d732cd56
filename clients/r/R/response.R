# Responses as the server takes them: numbers, or class numbers that count from 0, with their levels.

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
    regression = , heteroscedastic = , poisson = number_response(y),
    list(y = as_columns(y, "y"), levels = NULL, labels = colnames(y))
  )
}

number_response <- function(y) {
  if (!is.numeric(y) && !is.logical(y)) {
    laplace_stop(
      sprintf("Regression needs numbers; `y` is of class %s. Is the likelihood \"classification\"?", class(y)[1]),
      "BAD_LABELS"
    )
  }
  list(y = as_columns(y + 0, "y"), levels = NULL, labels = colnames(y))
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

class_response <- function(y, known) {
  if (are_positions(y, known)) return(list(y = as_positions(y), levels = NULL))
  labels <- as_labels(y, known)
  if (is.matrix(labels)) labels <- indicated(labels, known)
  if (is.factor(labels)) {
    if (is.null(known)) tell_empty_levels(labels)
    return(list(y = as.double(labels) - 1, levels = levels(labels)))
  }
  list(y = as.double(labels), levels = known)
}

#' Says which output is which class where some classes do not occur.
#' @noRd
tell_empty_levels <- function(labels) {
  empty <- setdiff(levels(labels), as.character(labels))
  if (length(empty) == 0) return()
  tell(sprintf(
    "`y` has no row of level %s; the network's outputs are taken for the levels %s, in this order. %s",
    quoted_list(empty), quoted_list(levels(labels)),
    "If it was trained without the empty ones, give droplevels(y)."
  ))
}

#' Whether class numbers are one a position (tokens, pixels) of each row, and not an indicator matrix.
#' @noRd
are_positions <- function(y, known) {
  # A network with known levels (nnet) has no positions.
  if (!is.null(known) || !is.numeric(y) || length(dim(y)) < 2 || ncol(y) < 2) return(FALSE)
  length(dim(y)) > 2 || !(all(y %in% c(0, 1)) && all(rowSums(y) == 1))
}

as_positions <- function(y) {
  storage.mode(y) <- "double"
  dimnames(y) <- NULL
  y
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
