# Held-out rows of a fit: given as data, or as a share of the rows of the fit.

#' Held-out rows of a fit to matrices: list(x, y), a share, or NULL.
#' @noRd
matrix_validation <- function(validation) {
  if (is.null(validation) || is_share(validation)) return(validation)
  if (!is.list(validation) || is.null(validation$x) || is.null(validation$y)) {
    stop_validation("list(x = , y = ), or a share of the rows between 0 and 1")
  }
  x <- as_features(validation$x, "validation$x")
  check_same_rows(x, validation$y)
  list(x = x, y = validation$y)
}

#' Held-out rows of a fit by formula: a data frame with the columns of the formula, list(x, y), a share, or NULL.
#' @noRd
frame_validation <- function(validation, prepared) {
  if (is.null(validation) || is_share(validation)) return(validation)
  if (is.data.frame(validation)) {
    frame <- frame_as_fitted(prepared$terms, validation, prepared$xlevels, stats::na.omit, "validation")
    return(frame_data(frame, prepared$contrasts)[c("x", "y")])
  }
  if (!is.list(validation) || is.null(validation$x) || is.null(validation$y)) {
    stop_validation("a data frame with the columns of the formula, list(x = , y = ), or a share between 0 and 1")
  }
  x <- design_of(c(prepared, list(features = colnames(prepared$x))), validation$x)
  check_same_rows(x, validation$y)
  list(x = x, y = validation$y)
}

#' Whether the held-out rows are a share of those of the fit.
#' @noRd
is_share <- function(validation) {
  if (!is.numeric(validation) || !is.null(dim(validation))) return(FALSE)
  if (length(validation) != 1 || is.na(validation) || validation <= 0 || validation >= 1) {
    laplace_stop(
      "A share of held-out rows, `validation`, must be one number between 0 and 1, such as 0.1.", "BAD_OPTION",
      list(option = "validation")
    )
  }
  TRUE
}

stop_validation <- function(expected) {
  laplace_stop(sprintf("`validation` must be %s.", expected), "BAD_OPTION", list(option = "validation"))
}

#' Held-out rows as the server takes them.
#' @param response the response of the fit, whose levels the held-out one must have.
#' @noRd
wire_validation <- function(validation, network, likelihood, response) {
  if (is.null(validation)) return(NULL)
  if (is.numeric(validation)) return(as.double(validation))
  held <- as_response(validation$y, likelihood, response$levels)
  complete <- complete_rows(validation$x) & complete_rows(held$y)
  if (!any(complete)) laplace_stop("`validation` has no row without missing values.", "EMPTY_DATA")
  x <- in_network_order(network, validation$x)
  list(x = as_wire_examples(rows_of(x, complete)), y = as_wire_array(rows_of(held$y, complete)))
}
