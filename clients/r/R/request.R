# Requests to a server: answers, progress, cancellation.

#' How long a cancelled request may take to be answered before the server is ended.
#' @noRd
CANCEL_GRACE <- 5

#' Sends a request and returns the `ok` of its answer, arrays as R's.
#'
#' An interrupt or an error (of the progress function, say) cancels the work; the server stays usable. A second
#' interrupt ends it. Interrupts come through where the answer is waited for, and nowhere else: what the connection
#' knows is right at any instant.
#' @param timeout seconds; then the work is cancelled and laplace_error_cancelled (DEADLINE) is raised.
#' @param progress TRUE for a bar (if cli is installed), or a function of stage, done, total, message.
#' @noRd
request <- function(server, method, params = empty_map(), timeout = NULL, progress = NULL) {
  check_seconds(timeout)
  check_progress(progress)
  suspendInterrupts(request_now(server, method, params, timeout, progress))
}

request_now <- function(server, method, params, timeout, progress) {
  connect_server(server)
  free_garbage(server)
  on_progress <- progress_function(progress)
  fields <- list(
    deadline = if (!is.null(timeout)) max(1, round(timeout * 1000)), progress = if (!is.null(on_progress)) TRUE
  )
  id <- send_request(server, method, params, fields[!vapply(fields, is.null, NA)])
  answered <- FALSE
  on.exit(if (!answered) cancel_request(server, id))
  answer <- await(server, id, if (is.null(timeout)) Inf else now() + timeout + 1, on_progress)
  if (is.null(answer)) laplace_stop(sprintf("The work did not end within %s s.", format(timeout)), "DEADLINE")
  answered <- TRUE
  result_of(answer)
}

#' Sends a request and returns its id, which the answer has too.
#' @noRd
send_request <- function(server, method, params, fields = list()) {
  id <- server$next_id
  server$next_id <- id %% (2^32 - 2) + 1
  limit <- server$hello$limits$maxFrame
  send_message(
    server, c(list(t = "req", id = id, method = method, params = params), fields),
    if (is.null(limit)) MAX_FRAME else limit
  )
  id
}

#' Writes a message.
#' @noRd
send_message <- function(server, message, longest = MAX_FRAME) {
  chunks <- frame_chunks(message, longest)
  broken <- tryCatch(
    {
      suppressWarnings(server$transport$write(chunks))
      FALSE
    },
    error = function(condition) TRUE
  )
  if (broken) crashed(server)
}

#' The answer to a request, NULL when the time is over. Answers to others are kept for them, or dropped.
#' @noRd
await <- function(server, id, end, on_progress = NULL) {
  key <- as.character(id)
  server$pending <- c(server$pending, key)
  on.exit(server$pending <- setdiff(server$pending, key))
  repeat {
    if (!is.null(server$answers[[key]])) {
      answer <- server$answers[[key]]
      server$answers[[key]] <- NULL
      return(answer)
    }
    note <- receive(server, end)
    if (is.null(note)) return(NULL)
    mine <- identical(note$method, "progress") && identical(as.double(note$params$id), as.double(id))
    if (mine && !is.null(on_progress)) allowInterrupts(on_progress(note$params))
  }
}

#' Takes the next message in. Returns it, or NULL when the time is over.
#' @noRd
receive <- function(server, end) {
  repeat {
    body <- next_body(server$reader)
    if (!is.null(body)) return(take_message(server, msgpack_decode(body)))
    transport <- server$transport
    if (read_some(server, transport)) next
    if (transport$ended()) {
      if (!read_some(server, transport)) crashed(server)
      next
    }
    left <- end - now()
    if (left <= 0) return(NULL)
    allowInterrupts(transport$wait(min(left, 0.2)))
  }
}

read_some <- function(server, transport) {
  bytes <- transport$read(as.integer(min(max(missing_bytes(server$reader), 65536), 2^20)))
  if (length(bytes) > 0) feed(server$reader, bytes)
  length(bytes) > 0
}

#' Keeps an answer that is waited for. An error with the id 0 is about the connection itself.
#' @noRd
take_message <- function(server, message) {
  if (identical(message$t, "res")) {
    key <- as.character(message$id)
    if (identical(message$id, 0)) stop_from_wire(message$err)
    if (key %in% server$pending) server$answers[[key]] <- message
  } else if (identical(message$method, "lost")) {
    for (handle in unlist(message$params$handles)) assign(handle, message$params$reason, envir = server$lost)
  }
  message
}

result_of <- function(answer) {
  if (!is.null(answer$err)) stop_from_wire(answer$err)
  from_wire(answer$ok)
}

#' Cancels a request and waits for its answer; ends a server that does not give one.
#' @noRd
cancel_request <- function(server, id) {
  if (!is_running(server)) return()
  settled <- FALSE
  on.exit(if (!settled) drop_server(server))
  answer <- tryCatch(
    {
      send_message(server, list(t = "note", method = "cancel", params = list(id = id)))
      await(server, id, now() + CANCEL_GRACE)
    },
    error = function(condition) NULL
  )
  if (!is.null(answer)) {
    # A result that came before the cancellation: nobody will use its handle.
    if (is.character(answer$ok$handle)) free_later(server, server$generation, answer$ok$handle)
    settled <- TRUE
  }
}
