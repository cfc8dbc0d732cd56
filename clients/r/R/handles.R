# Handles that no object needs any more.

#' Marks a handle as garbage; it is freed with the next request. Finalizers call this at any time: one assignment,
#' nothing lost.
#' @noRd
free_later <- function(server, generation, handle) {
  if (identical(generation, server$generation)) assign(handle, TRUE, envir = server$garbage)
}

#' Frees what is marked, at most 1000 at once: the protocol limits the length of lists.
#' @noRd
free_garbage <- function(server) {
  handles <- utils::head(ls(server$garbage), 1000)
  if (length(handles) == 0) return()
  rm(list = handles, envir = server$garbage)
  send_message(server, list(t = "note", method = "free", params = list(handles = as.list(handles))))
}
