# Arguments of the wrong kind, refused where they come in.

#' Refuses arguments that a method does not have, with the nearest that it has.
#' @param allowed arguments that R's own functions pass to every method of a generic.
#' @noRd
check_no_more <- function(..., allowed = character()) {
  if (...length() == 0) return()
  given <- ...names_or_none(...)
  if (is.null(given)) given <- rep("", ...length())
  wrong <- setdiff(given, allowed)
  if (length(wrong) == 0 && !any(!nzchar(given))) return()
  name <- c(wrong[nzchar(wrong)], "")[1]
  near <- if (nzchar(name)) nearest(name, setdiff(names(formals(sys.function(sys.parent()))), "...")) else ""
  laplace_stop(
    paste0(
      "There is no argument ", if (nzchar(name)) sprintf("`%s`", name) else "at this place", ".",
      if (nzchar(near)) sprintf(" Did you mean `%s`?", near)
    ),
    "UNKNOWN_OPTION", list(option = name, suggestion = near)
  )
}

#' The names of arguments in `...`; R 4.0 has no ...names().
#' @noRd
...names_or_none <- function(...) names(match.call(expand.dots = FALSE)$...)

#' What print() of other classes is given too.
#' @noRd
PRINTED <- c("digits", "max", "quote", "right", "row.names", "useSource")

#' Stops unless an argument is what is due.
#' @noRd
check_that <- function(holds, name, due) {
  if (isTRUE(holds)) return(invisible())
  laplace_stop(sprintf("`%s` must be %s.", name, due), "BAD_OPTION", list(option = name))
}

check_flag <- function(value, name) {
  check_that(is.logical(value) && length(value) == 1 && !is.na(value), name, "TRUE or FALSE")
}

check_text <- function(value, name) {
  check_that(is.null(value) || is.character(value) && length(value) == 1 && !is.na(value), name, "one string")
}

check_whole <- function(value, name, least = 1) {
  check_that(
    is.numeric(value) && length(value) == 1 && is.finite(value) && value >= least && value == trunc(value), name,
    sprintf("a whole number from %d", least)
  )
}

check_seconds <- function(value, name = "timeout") {
  check_that(
    is.null(value) || is.numeric(value) && length(value) == 1 && is.finite(value) && value > 0, name,
    "a number of seconds above 0, or NULL"
  )
}

check_progress <- function(value) {
  check_that(
    is.null(value) || is.function(value) || is.logical(value) && length(value) == 1 && !is.na(value), "progress",
    "TRUE, FALSE or a function"
  )
}

check_na_action <- function(value) {
  check_that(
    is.null(value) || is.function(value) ||
      is.character(value) && length(value) == 1 && exists(value, mode = "function"),
    "na.action", "a function such as na.omit, or its name"
  )
}
