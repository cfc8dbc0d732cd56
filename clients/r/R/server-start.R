# Starting a server, and explaining one that ended.

PROTOCOL_VERSIONS <- c(1, 1)

#' A server that dies more often than this within this many seconds is not started again.
#' @noRd
RESTARTS <- 3
RESTART_WINDOW <- 60

#' Seconds until a server must have answered its first message. Where nothing else is given they are 10, and more on a
#' machine where more than four want each processor: when a hundred processes fit, starting takes that long.
#' @noRd
start_timeout <- function() {
  given <- getOption("polylaplace.start_timeout", Sys.getenv("POLYLAPLACE_START_TIMEOUT"))
  if (identical(given, "")) return(10 * max(1, round(waiting_processes() / (4 * processors()))))
  seconds <- suppressWarnings(as.double(given))
  if (length(seconds) == 1 && is.finite(seconds) && seconds > 0) return(seconds)
  laplace_stop(
    paste(
      "The option polylaplace.start_timeout (or the environment variable POLYLAPLACE_START_TIMEOUT) must be a number",
      "of seconds above 0."
    ),
    "BAD_OPTION", list(option = "polylaplace.start_timeout")
  )
}

#' How many want a processor: on the average of a minute, or now; 0 where the system does not say.
#' @noRd
waiting_processes <- function() {
  text <- tryCatch(suppressWarnings(readLines("/proc/loadavg", 1L)), error = function(condition) "0")
  max(as.double(sub("[ /].*", "", c(text, sub("^(\\S+ ){3}", "", text)))))
}

processors <- function() {
  lines <- tryCatch(suppressWarnings(readLines("/proc/stat")), error = function(condition) "")
  max(1L, sum(grepl("^cpu[0-9]", lines)))
}

#' Starts the server where it does not run. In a forked child it is the child's own.
#' @noRd
connect_server <- function(server) {
  if (server$process != Sys.getpid()) {
    # The parent's pipes stay open here, unused: closing them would wait for a process that is not ours.
    server$forgotten <- c(server$forgotten, list(server$transport))
    reset_server(server)
    server$crashes <- numeric()
  }
  if (is.null(server$transport)) start_server(server)
}

start_server <- function(server) {
  server$crashes <- server$crashes[server$crashes > now() - RESTART_WINDOW]
  if (length(server$crashes) > RESTARTS) {
    laplace_stop(
      sprintf(
        paste0(
          "The server has ended %d times within %d s and is not started again now. close(laplace_server()) lets it be ",
          "tried at once.\nThe last time: %s"
        ),
        length(server$crashes), RESTART_WINDOW, server$last_crash
      ),
      "PROTOCOL", class = "laplace_error_server_crashed"
    )
  }
  reset_server(server)
  slot <- start_slot()
  on.exit(release_slot(slot))
  tryCatch(start_and_greet(server), laplace_error_server_crashed = function(condition) {
    note_crash(server, conditionMessage(condition))
    stop(condition)
  })
}

#' A server that ends without having been asked to counts: see RESTARTS.
#' @noRd
note_crash <- function(server, message) {
  server$crashes <- c(server$crashes, now())
  server$last_crash <- message
}

start_and_greet <- function(server) {
  given <- !is.null(server$given_command)
  begin <- now()
  command <- if (given) server$given_command else c(likely_node(), server_file(), "serve")
  server$generation <- paste(Sys.getpid(), format(now(), digits = 17), basename(tempfile("")))
  server$transport <- start_transport(
    command, if (is.null(server$given_transport)) transport_name() else server$given_transport
  )
  ready <- FALSE
  on.exit(if (!ready) drop_server(server))
  server$reader$greeting <- TRUE
  # A server that has started before is known to be right, and the machine may be busy.
  limit <- if (isTRUE(server$greeted)) max(60, start_timeout()) else start_timeout()
  server$hello <- tryCatch(say_hello(server, begin + limit, limit, if (!given) command[1]),
    laplace_error_server_crashed = function(condition) {
      # Its version is asked for only now, because that takes a fifth of the time of a start.
      problem <- if (!given && !isTRUE(condition$data$explained)) explain_node(command[1], begin + limit - now())
      if (is.null(problem)) stop(condition)
      laplace_stop(paste0(problem, " ", REMEDY, "\n", conditionMessage(condition)), "MISSING_DEPENDENCY",
        condition$data, c("laplace_error_no_node", "laplace_error_server_crashed")
      )
    }
  )
  server$greeted <- TRUE
  ready <- TRUE
}

#' Greets a server. Towards the end of its time it is found out whether what was started is Node.js at all.
#' @noRd
say_hello <- function(server, end, limit, node) {
  transport <- server$transport
  params <- list(
    protocol = as.list(PROTOCOL_VERSIONS), client = paste0("r/", package_version_text()), pid = Sys.getpid(),
    maxFrame = MAX_FRAME, capabilities = list("progress"), token = transport$token
  )
  id <- send_request(server, "hello", params[!vapply(params, is.null, NA)])
  answer <- await(server, id, end - limit / 4)
  problem <- NULL
  if (is.null(answer)) {
    problem <- if (!is.null(node)) explain_node(node, end - now())
    answer <- await(server, id, end)
  }
  if (is.null(answer)) {
    transport$kill()
    stop_crashed(
      sprintf(
        "did not answer within %s s. If it only needs longer: options(polylaplace.start_timeout = ) gives it more",
        format(limit)
      ),
      transport, hint = if (!is.null(problem)) paste(problem, REMEDY), explained = TRUE
    )
  }
  result_of(answer)
}

package_version_text <- function() as.character(utils::packageVersion("polylaplace"))

#' Stops because the server has ended, with its exit code, the command and its last words.
#' @noRd
stop_crashed <- function(how, transport, code = NA_integer_, hint = NULL, explained = FALSE) {
  words <- trimws(transport$stderr_tail())
  if (code %in% c(134L, 137L)) hint <- "It may have run out of memory."
  laplace_stop(
    paste0(
      "The server ", how, ".", if (!is.null(hint)) paste0(" ", hint),
      "\nCommand: ", paste(transport$command, collapse = " "),
      if (nzchar(words)) paste0("\nIts last words:\n", words)
    ),
    "PROTOCOL", list(exit_code = code, stderr = words, explained = explained), "laplace_error_server_crashed"
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
  # One that never answered is counted where it is started.
  if (length(server$hello) > 0) note_crash(server, how)
  stop_crashed(how, transport, code)
}
