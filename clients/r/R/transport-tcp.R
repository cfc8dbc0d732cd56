# A socket on the loopback interface: Windows, and wherever there are no named pipes. A token that is used once keeps
# others out.

tcp_transport <- function(command) {
  token <- random_token()
  command <- c(command, "--transport", "tcp-loopback")
  process <- with_environment(c(POLYLAPLACE_TOKEN = token), launch(command))
  socket <- tryCatch(
    socketConnection("127.0.0.1", wait_for_port(process), blocking = FALSE, open = "r+b", timeout = 3600),
    error = function(condition) {
      process$kill()
      stop(condition)
    }
  )
  closed <- FALSE
  read <- function(count) readBin(socket, "raw", count)
  c(process[c("pid", "exit_code", "stderr_tail", "terminate", "kill")], list(
    name = "tcp",
    command = command,
    token = token,
    write = function(chunks) for (chunk in chunks) write_socket(socket, chunk),
    read = function(count) {
      bytes <- read(count)
      # Readable without anything to read: the other end has closed.
      if (length(bytes) == 0 && socketSelect(list(socket), FALSE, 0)) {
        bytes <- read(count)
        if (length(bytes) == 0) closed <<- TRUE
      }
      bytes
    },
    wait = function(seconds) socketSelect(list(socket), FALSE, seconds),
    ended = function() closed || process$exited(),
    release = function() {
      close(socket)
      process$release()
    }
  ))
}

#' 32 hexadecimal digits that cannot be guessed, without touching R's random numbers.
#' @noRd
random_token <- function() {
  if (file.exists("/dev/urandom")) {
    source <- file("/dev/urandom", "rb", raw = TRUE)
    on.exit(close(source))
    return(paste(readBin(source, "raw", 16L), collapse = ""))
  }
  # The names of temporary files come from a generator of their own; the address of a new environment adds to it.
  words <- c(basename(tempfile(rep("", 8))), format(new.env()), format(Sys.time(), "%OS6"), Sys.getpid())
  sub <- tempfile()
  on.exit(unlink(sub))
  writeLines(words, sub)
  unname(tools::md5sum(sub))
}

#' A socket takes at most a part of a large chunk at once.
#' @noRd
write_socket <- function(socket, chunk) {
  step <- 2^20
  if (length(chunk) <= step) return(writeBin(chunk, socket))
  for (start in seq(1, length(chunk), by = step)) writeBin(chunk[start:min(length(chunk), start + step - 1)], socket)
}

wait_for_port <- function(process) {
  if (!happens(function() !is.na(process$port()) || process$exited(), start_timeout()) || is.na(process$port())) {
    process$kill()
    stop_crashed("did not say on which port it listens", process)
  }
  process$port()
}

#' Starts the server in the background: with a shell, or on Windows with processx (of any recent version) or what R
#' itself offers.
#' @noRd
launch <- function(command) {
  if (!is_windows()) return(launch_shell(command))
  if (has_processx("3.8.0")) launch_processx(command) else launch_windows(command)
}

launch_shell <- function(command) {
  folder <- server_folder()
  system2("/bin/sh", c("-c", shQuote(shell_script(command, folder, stdout = "port"), "sh")), wait = FALSE)
  process <- watched(folder)
  c(process, list(
    command = command,
    port = function() read_number(file.path(folder, "port")),
    release = function() unlink(folder, recursive = TRUE)
  ))
}

launch_processx <- function(command) {
  folder <- server_folder()
  error_file <- file.path(folder, "err")
  process <- new_process(command, error_file)
  port <- NA_integer_
  c(processx_signals(process, error_file), list(
    command = command,
    port = function() {
      if (is.na(port)) port <<- suppressWarnings(as.integer(process$read_output_lines(1)[1]))
      port
    },
    release = function() unlink(folder, recursive = TRUE)
  ))
}

#' Without processx the process cannot be signalled; it ends when the socket is closed, or with R.
#' @noRd
launch_windows <- function(command) {
  folder <- server_folder()
  with_environment(
    c(NODE_OPTIONS = NA),
    system2(
      command[1], shQuote(command[-1]), wait = FALSE, stdout = file.path(folder, "port"),
      stderr = file.path(folder, "err")
    )
  )
  list(
    command = command,
    pid = function() NA_integer_,
    exited = function() FALSE,
    exit_code = function() NA_integer_,
    stderr_tail = function() file_tail(file.path(folder, "err")),
    terminate = function() NULL,
    kill = function() NULL,
    port = function() read_number(file.path(folder, "port")),
    release = function() unlink(folder, recursive = TRUE)
  )
}
