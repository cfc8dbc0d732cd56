# The connection to a server: its state, its end.

#' A connection. Everything in this package shares one unless a test makes another.
#' @param command the whole command of the server, NULL for node and the bundled file.
#' @noRd
new_server <- function(command = NULL, transport = NULL) {
  server <- new.env(parent = emptyenv())
  server$given_command <- command
  server$given_transport <- transport
  server$crashes <- numeric()
  server$forgotten <- list()
  reset_server(server)
  reg.finalizer(server, finish_server, onexit = TRUE)
  class(server) <- "laplace_server"
  server
}

#' The state of a connection without a server. A new generation makes every handle of the old server void.
#' @noRd
reset_server <- function(server) {
  server$transport <- NULL
  server$process <- Sys.getpid()
  server$generation <- ""
  server$next_id <- 1
  server$reader <- new_frame_reader()
  server$pending <- character()
  server$answers <- list()
  server$garbage <- new.env(parent = emptyenv())
  # Handles that the server has lost, with the reason.
  server$lost <- new.env(parent = emptyenv())
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
  check_no_more(...)
  stop_server(con)
  con$crashes <- numeric()
  invisible(NULL)
}

#' @rdname laplace_server
#' @export
print.laplace_server <- function(x, ...) {
  check_no_more(..., allowed = PRINTED)
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
