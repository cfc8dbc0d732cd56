# The conditions.
#
# laplace_error
# |- laplace_error_shape             an array does not have the shape that is needed
# |- laplace_error_data              data that cannot be used
# |- laplace_error_option            a wrong option; the message names the nearest right one
# |- laplace_error_graph             a network that cannot be run or differentiated
# |- laplace_error_numerical         linear algebra or an iteration failed
# |- laplace_error_untrusted_input   a file or message is malformed, or of an unsupported kind
# |- laplace_error_protocol          client and server do not understand each other
# |  `- laplace_error_server_crashed the server ended while it was needed
# |- laplace_error_cancelled         the work was cancelled, or ran out of time
# |- laplace_error_resource          memory or an optional package is missing
# |  `- laplace_error_no_node        no usable Node.js on this machine
# |- laplace_error_state             an operation that the present state does not allow
# `- laplace_error_internal          a fault of this library
#
# laplace_warning
# `- laplace_warning_mismatch        network and data contradict each other
#
# Classes and codes follow one table, core/errors/errors.ts, from which error-table.R is written.

#' The condition class of a family of the table: ShapeError is laplace_error_shape.
#' @noRd
family_class <- function(family) {
  words <- gsub("([a-z])([A-Z])", "\\1_\\2", sub("Error$", "", family))
  paste0("laplace_error_", tolower(words))
}

#' An error condition of a code. A code that the table does not have becomes the root class.
#' @noRd
new_laplace_error <- function(message, code, data = list(), class = character(), call = NULL) {
  row <- match(code, error_table$name)
  family <- if (is.na(row)) character() else family_class(error_table$family[row])
  number <- if (is.na(row)) NA_integer_ else error_table$number[row]
  structure(
    class = c(class, family, "laplace_error", "error", "condition"),
    list(message = message, call = call, code = code, number = number, data = data)
  )
}

#' Stops with an error of this package.
#' @noRd
laplace_stop <- function(message, code, data = list(), class = character()) {
  stop(new_laplace_error(message, code, data, class))
}

#' The error of an answer.
#' @noRd
stop_from_wire <- function(err) {
  code <- if (is.character(err$name)) err$name else "INTERNAL"
  laplace_stop(if (is.character(err$message)) err$message else code, code, if (is.list(err$data)) err$data else list())
}

#' Something that the user should know, as a warning of class laplace_warning.
#' @noRd
laplace_warn <- function(message, class = character()) {
  warning(structure(class = c(class, "laplace_warning", "warning", "condition"), list(message = message, call = NULL)))
}

#' Notes that begin so say that network and data contradict each other.
#' @noRd
WARNING_PREFIX <- "Warning: "

is_warning <- function(note) startsWith(note, WARNING_PREFIX)

without_prefix <- function(note) if (is_warning(note)) substring(note, nchar(WARNING_PREFIX) + 1) else note

#' Something that the server noticed, as a message of class laplace_note.
#' @noRd
tell <- function(note) {
  message(
    structure(
      class = c("laplace_note", "message", "condition"),
      list(message = paste0(paste(strwrap(note), collapse = "\n"), "\n"), call = NULL)
    )
  )
}

#' The nearest of some words, "" when none is near.
#' @noRd
nearest <- function(word, words) {
  distance <- as.vector(utils::adist(tolower(word), tolower(words)))
  best <- which.min(distance)
  if (length(best) == 1 && distance[best] <= max(2, nchar(word) %/% 3)) words[best] else ""
}

#' One of some words; an error that names the nearest otherwise.
#' @noRd
one_of <- function(value, words, name) {
  if (is.character(value) && length(value) == 1 && value %in% words) return(value)
  shown <- paste(deparse(value), collapse = " ")
  near <- if (is.character(value) && length(value) == 1) nearest(value, words) else ""
  laplace_stop(
    paste0(
      "`", name, "` must be one of ", paste0("\"", words, "\"", collapse = ", "), "; got ", shown, ".",
      if (nzchar(near)) paste0(" Did you mean \"", near, "\"?")
    ),
    "BAD_OPTION", list(option = name, suggestion = near)
  )
}

quoted_list <- function(words) paste0("\"", utils::head(words, 5), "\"", collapse = ", ")
