# Progress of long work: a function, or a bar of cli where it is installed.

#' The function that is told about progress (a list of stage, done, total, message), or NULL.
#' @noRd
progress_function <- function(option) {
  if (is.function(option)) return(function(note) option(note$stage, note$done, note$total, note$message))
  if (isTRUE(option) && requireNamespace("cli", quietly = TRUE)) progress_bar() else NULL
}

#' One bar for each stage; it goes away by itself when the frame of the caller ends.
#' @noRd
progress_bar <- function() {
  bar <- NULL
  stage <- ""
  frame <- parent.frame(2)
  function(note) {
    total <- if (note$total > 0) note$total else NA
    if (is.null(bar) || note$stage != stage) {
      if (!is.null(bar)) cli::cli_progress_done(bar, .envir = frame)
      bar <<- cli::cli_progress_bar(note$stage, total = total, .envir = frame)
      stage <<- note$stage
    }
    cli::cli_progress_update(set = note$done, total = total, id = bar, .envir = frame)
  }
}
