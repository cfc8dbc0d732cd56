# Starting a server, and explaining one that ended.

PROTOCOL_VERSIONS <- c(1, 1)

#' A server that dies more often than this within this many seconds is not started again.
#' @noRd
RESTARTS <- 3
RESTART_WINDOW <- 60

start_timeout <- function() getOption("polylaplace.start_timeout", 10)

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
