# The connection to a server: requests, answers, cancellation, restarts.

PROTOCOL_VERSIONS <- c(1, 1)

#' A server that dies more often than this within this many seconds is not started again.
#' @noRd
RESTARTS <- 3
RESTART_WINDOW <- 60

#' How long a cancelled request may take to be answered before the server is ended.
#' @noRd
CANCEL_GRACE <- 5

start_timeout <- function() getOption("polylaplace.start_timeout", 10)

#' A connection. Everything in this package shares one unless a test makes another.
#' @param command the whole command of the server, NULL for node and the bundled file.
#' @noRd
new_server <- function(command = NULL, transport = NULL) {
  server <- new.env(parent = emptyenv())
  server$given_command <- command
  server$given_transport <- transport
  server$starts <- numeric()
  server$forgotten <- list()
  reset_server(server)
  reg.finalizer(server, finish_server, onexit = TRUE)
  class(server) <- "laplace_server"
  server
}

reset_server <- function(server) {
  server$transport <- NULL
  server$process <- Sys.getpid()
  server$generation <- ""
  server$next_id <- 1
  server$reader <- new_frame_reader()
  server$pending <- character()
  server$answers <- list()
  server$garbage <- new.env(parent = emptyenv())
  server$hello <- list()
}

#' The server of this R session
#'
#' Everything in this package shares one server, a Node.js process that is started at the first use and ends with R. It
#' is ended earlier by `close()`; the next use starts another, and fitted objects go on working.
#'
#' @return An object of class `laplace_server`. Its print method shows whether the server runs, its process id and what
#'   lives on it.
#' @export
#' @examplesIf laplace_available()
#' server <- laplace_server()
#' server
#' close(server)
laplace_server <- function() {
  if (is.null(the$server)) the$server <- new_server()
  the$server
}

#' @rdname laplace_server
#' @param con,x a server.
#' @param ... not used.
#' @export
close.laplace_server <- function(con, ...) {
  stop_server(con)
  con$starts <- numeric()
  invisible(NULL)
}

#' @rdname laplace_server
#' @export
print.laplace_server <- function(x, ...) {
  if (!is_running(x)) {
    cat("<laplace_server> not running; it starts at the first use\n")
    return(invisible(x))
  }
  cat(sprintf(
    "<laplace_server> version %s, process %s, through %s\n", x$hello$version, x$transport$pid(), x$transport$name
  ))
  stats <- request(x, "stats")
  cat(sprintf("  up %.0f s, %d objects, %.0f MB\n", stats$uptime, length(stats$handles), stats$rss / 2^20))
  invisible(x)
}

is_running <- function(server) !is.null(server$transport) && server$process == Sys.getpid()

#' Starts the server where it does not run. In a forked child it is the child's own.
#' @noRd
connect_server <- function(server) {
  if (server$process != Sys.getpid()) {
    # The parent's pipes stay open here, unused: closing them would wait for a process that is not ours.
    server$forgotten <- c(server$forgotten, list(server$transport))
    reset_server(server)
    server$starts <- numeric()
  }
  if (is.null(server$transport)) start_server(server)
}

start_server <- function(server) {
  recent <- server$starts[server$starts > now() - RESTART_WINDOW]
  if (length(recent) > RESTARTS) {
    laplace_stop(
      sprintf(
        "The server has ended %d times within %d s and is not started again now.", length(recent), RESTART_WINDOW
      ),
      "PROTOCOL", class = "laplace_error_server_crashed"
    )
  }
  command <- if (is.null(server$given_command)) c(likely_node(), server_file(), "serve") else server$given_command
  reset_server(server)
  server$starts <- c(recent, now())
  server$generation <- paste(Sys.getpid(), format(now(), digits = 17), length(recent))
  server$transport <- start_transport(
    command, if (is.null(server$given_transport)) transport_name() else server$given_transport
  )
  ready <- FALSE
  on.exit(if (!ready) drop_server(server))
  server$hello <- tryCatch(say_hello(server), laplace_error_server_crashed = function(condition) {
    # Its version is asked for only now, because that takes a fifth of the time of a start.
    problem <- if (is.null(server$given_command)) explain_node(command[1])
    if (is.null(problem)) stop(condition) else stop_no_node(problem)
  })
  ready <- TRUE
}

say_hello <- function(server) {
  transport <- server$transport
  params <- list(
    protocol = as.list(PROTOCOL_VERSIONS), client = paste0("r/", package_version_text()), pid = Sys.getpid(),
    maxFrame = MAX_FRAME, capabilities = list("progress"), token = transport$token
  )
  id <- send_request(server, "hello", params[!vapply(params, is.null, NA)])
  answer <- await(server, id, now() + start_timeout())
  if (is.null(answer)) {
    transport$kill()
    stop_crashed(sprintf("did not answer within %s s", format(start_timeout())), transport)
  }
  result_of(answer)
}

package_version_text <- function() as.character(utils::packageVersion("polylaplace"))

#' Stops because the server has ended, with its exit code, the command and its last words.
#' @noRd
stop_crashed <- function(how, transport, code = NA_integer_) {
  words <- trimws(transport$stderr_tail())
  hint <- if (code %in% c(134L, 137L)) " It may have run out of memory." else ""
  laplace_stop(
    paste0(
      "The server ", how, ".", hint, "\nCommand: ", paste(transport$command, collapse = " "),
      if (nzchar(words)) paste0("\nIts last words:\n", words)
    ),
    "PROTOCOL", list(exit_code = code, stderr = words), "laplace_error_server_crashed"
  )
}

#' The server has ended by itself.
#' @noRd
crashed <- function(server) {
  transport <- server$transport
  happens(function() !is.na(transport$exit_code()), PATIENCE)
  code <- transport$exit_code()
  how <- if (is.na(code)) {
    "has closed the connection"
  } else if (code > 128 && code < 160) {
    sprintf(
      "was ended by signal %d%s", code - 128L,
      switch(as.character(code), `137` = " (SIGKILL)", `143` = " (SIGTERM)", `134` = " (SIGABRT)", "")
    )
  } else {
    sprintf("ended with exit code %d", code)
  }
  on.exit(drop_server(server))
  stop_crashed(how, transport, code)
}

# --- ending ---

#' Ends the server: shutdown, 2 s, SIGTERM, 2 s, SIGKILL.
#' @noRd
stop_server <- function(server, patience = PATIENCE) {
  if (!is_running(server)) return(invisible())
  transport <- server$transport
  gone <- function() {
    transport$read(65536L)
    transport$ended()
  }
  on.exit(drop_server(server))
  tryCatch(
    transport$write(frame_chunks(list(t = "req", id = MAX_FRAME, method = "shutdown", params = empty_map()))),
    error = identity
  )
  if (happens(gone, patience)) return(invisible())
  transport$terminate()
  happens(gone, patience)
}

#' Ends the server at once.
#' @noRd
drop_server <- function(server) {
  transport <- server$transport
  if (is.null(transport)) return()
  server$transport <- NULL
  server$generation <- ""
  transport$kill()
  happens(transport$ended, PATIENCE)
  suppressWarnings(tryCatch(transport$release(), error = identity))
}

finish_server <- function(server) {
  tryCatch(stop_server(server, 0.5), error = identity)
}

# --- calls ---

#' Sends a request and returns the `ok` of its answer, arrays as R's.
#'
#' An interrupt or an error (of the progress function, say) cancels the work; the server stays usable. A second
#' interrupt ends it.
#' @param timeout seconds; then the work is cancelled and laplace_error_cancelled (DEADLINE) is raised.
#' @param progress TRUE for a bar (if cli is installed), or a function of stage, done, total, message.
#' @noRd
request <- function(server, method, params = empty_map(), timeout = NULL, progress = NULL) {
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

#' Writes a message. An interrupt waits until it is whole.
#' @noRd
send_message <- function(server, message, longest = MAX_FRAME) {
  chunks <- frame_chunks(message, longest)
  broken <- suspendInterrupts(tryCatch(
    {
      suppressWarnings(server$transport$write(chunks))
      FALSE
    },
    error = function(condition) TRUE
  ))
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
    if (mine && !is.null(on_progress)) on_progress(note$params)
  }
}

#' Takes the next message in. Returns it, or NULL when the time is over.
#' @noRd
receive <- function(server, end) {
  repeat {
    body <- next_body(server$reader)
    if (!is.null(body)) return(take_message(server, msgpack_decode(body)))
    transport <- server$transport
    # Between reading and keeping an interrupt would lose bytes.
    got <- suspendInterrupts(read_some(server, transport))
    if (got) next
    if (transport$ended()) {
      if (!suspendInterrupts(read_some(server, transport))) crashed(server)
      next
    }
    left <- end - now()
    if (left <= 0) return(NULL)
    transport$wait(min(left, 0.2))
  }
}

read_some <- function(server, transport) {
  bytes <- transport$read(as.integer(min(max(missing_bytes(server$reader), 65536), 2^20)))
  if (length(bytes) > 0) feed(server$reader, bytes)
  length(bytes) > 0
}

take_message <- function(server, message) {
  if (identical(message$t, "res")) {
    key <- as.character(message$id)
    if (identical(message$id, 0)) stop_from_wire(message$err)
    if (key %in% server$pending) server$answers[[key]] <- message
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

# --- handles ---

#' Marks a handle as garbage; it is freed with the next request. Finalizers call this at any time: one assignment,
#' nothing lost.
#' @noRd
free_later <- function(server, generation, handle) {
  if (identical(generation, server$generation)) assign(handle, TRUE, envir = server$garbage)
}

free_garbage <- function(server) {
  handles <- utils::head(ls(server$garbage), 1000)
  if (length(handles) == 0) return()
  rm(list = handles, envir = server$garbage)
  send_message(server, list(t = "note", method = "free", params = list(handles = as.list(handles))))
}
