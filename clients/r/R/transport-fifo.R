# Base R on POSIX: requests through a pipe to the server's stdin, answers through a named pipe.

#' The named pipe is opened here first and without blocking, so that a server that does not start cannot hang R.
#' @noRd
fifo_transport <- function(command) {
  folder <- server_folder()
  path <- file.path(folder, "out")
  # Opening for writing makes it.
  answers <- tryCatch(
    fifo(path, "w+b", blocking = FALSE),
    error = function(condition) laplace_stop(sprintf("The named pipe '%s' could not be made.", path), "PROTOCOL")
  )
  command <- c(command, "--transport", "fifo", "--output", path)
  requests <- pipe(shell_script(command, folder), "wb")
  process <- watched(folder)
  pace <- new_pace()
  read <- function(count) {
    # "Nothing yet" is an error of readBin, and the end of the stream is raw().
    bytes <- tryCatch(readBin(answers, "raw", count), error = function(condition) raw())
    if (length(bytes) > 0) pace$reset()
    bytes
  }
  c(process[c("pid", "exit_code", "stderr_tail", "terminate", "kill")], list(
    name = "fifo",
    command = command,
    write = function(chunks) {
      for (chunk in chunks) writeBin(chunk, requests)
      flush(requests)
    },
    read = read,
    wait = function(seconds) Sys.sleep(min(seconds, pace$step())),
    ended = process$exited,
    release = function() {
      # Closing waits for the shell, which ends with the server.
      close(requests)
      close(answers)
      unlink(folder, recursive = TRUE)
    }
  ))
}

#' Base R cannot wait for a named pipe in a way that Ctrl-C ends, so it looks again and again: at first at once, later
#' every 10 ms, always after an eighth of the time that has been waited. A quick answer is not delayed, and a slow one
#' costs little.
#' @noRd
new_pace <- function() {
  waited <- 0
  list(
    reset = function() waited <<- 0,
    step = function() {
      pause <- min(0.01, max(2e-4, waited / 8))
      waited <<- waited + pause
      pause
    }
  )
}
