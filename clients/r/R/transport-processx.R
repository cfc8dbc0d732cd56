# processx 3.9 or newer: binary pipes on every system, and waiting that Ctrl-C ends.

processx_transport <- function(command) {
  folder <- server_folder()
  error_file <- file.path(folder, "err")
  process <- new_process(command, error_file, stdin = "|")
  c(processx_signals(process, error_file), list(
    name = "processx",
    command = command,
    write = function(chunks) for (chunk in chunks) write_process(process, chunk),
    read = function(count) process$read_output_bytes(count),
    wait = function(seconds) process$poll_io(as.integer(ceiling(seconds * 1000))),
    ended = function() !process$is_alive(),
    release = function() {
      close(process$get_input_connection())
      unlink(folder, recursive = TRUE)
    }
  ))
}

new_process <- function(command, error_file, stdin = NULL) {
  environment <- Sys.getenv()
  keep <- setdiff(names(environment), dropped_variables())
  processx::process$new(
    command[1], command[-1],
    stdin = stdin, stdout = "|", stderr = error_file, env = c(environment[keep], ALLOCATOR), cleanup = TRUE,
    encoding = ""
  )
}

processx_signals <- function(process, error_file) {
  list(
    pid = function() process$get_pid(),
    exited = function() !process$is_alive(),
    exit_code = function() {
      code <- process$get_exit_status()
      # A signal counts as 128 and its number, as the shell has it.
      if (is.null(code)) NA_integer_ else if (code < 0) 128L - code else code
    },
    stderr_tail = function() file_tail(error_file),
    terminate = function() process$signal(tools::SIGTERM),
    kill = function() process$kill()
  )
}

#' The pipe takes what fits; the rest is offered again.
#' @noRd
write_process <- function(process, chunk) {
  while (length(chunk) > 0) {
    chunk <- process$write_input(chunk)
    if (length(chunk) > 0) {
      if (!process$is_alive()) stop("The process has ended.")
      Sys.sleep(1e-4)
    }
  }
}
