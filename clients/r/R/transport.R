# A server process and its stream of bytes.
#
# A transport is a list of functions:
#   write(chunks)      writes raw vectors; an error when the server is gone
#   read(count)        what has arrived, at most about count bytes, without waiting; raw() when there is nothing
#   wait(seconds)      waits until something may have arrived; can be interrupted
#   ended()            whether the server has ended and everything was read
#   exit_code()        NA while it is not known
#   stderr_tail()      the last of what the server wrote to stderr
#   terminate(), kill() signals
#   release()          lets go of pipes and files; the server has ended or is the parent's
# and `command`, `name`, `pid`.

PATIENCE <- 2
STDERR_KEPT <- 16384

#' What of the environment the server needs, besides POLYLAPLACE_*. NODE_OPTIONS in particular is not passed on.
#' @noRd
KEPT_ENVIRONMENT <- c(
  "PATH", "HOME", "TMPDIR", "TMP", "TEMP", "LANG", "LC_ALL", "SYSTEMROOT", "USERPROFILE", "APPDATA", "NODE_PATH"
)

#' glibc keeps what is freed of arrays below a bound that rises to 32 MB, in a heap that larger ones do not fit into.
#' @noRd
ALLOCATOR <- c(MALLOC_MMAP_THRESHOLD_ = "4000000")

dropped_variables <- function() {
  present <- names(Sys.getenv())
  present[nzchar(present) & !toupper(present) %in% KEPT_ENVIRONMENT & !startsWith(present, "POLYLAPLACE_")]
}

#' Starts a server with the transport that suits this machine.
#' @noRd
start_transport <- function(command, name = transport_name()) {
  switch(one_of(name, c("processx", "fifo", "tcp"), "transport"),
    processx = processx_transport(command),
    fifo = fifo_transport(command),
    tcp = tcp_transport(command)
  )
}

transport_name <- function() {
  named <- getOption("polylaplace.transport", Sys.getenv("POLYLAPLACE_TRANSPORT"))
  if (nzchar(named)) return(named)
  if (has_processx("3.9.0")) return("processx")
  if (!is_windows() && capabilities("fifo")) "fifo" else "tcp"
}

has_processx <- function(version) {
  path <- system.file(package = "processx")
  nzchar(path) && utils::packageVersion("processx") >= version && requireNamespace("processx", quietly = TRUE)
}

#' A private folder for the files of one server.
#' @noRd
server_folder <- function() {
  folder <- tempfile("polylaplace-")
  dir.create(folder, mode = "0700")
  folder
}

#' The last bytes of a text file.
#' @noRd
file_tail <- function(path, bytes = STDERR_KEPT) {
  size <- file.size(path)
  if (is.na(size) || size == 0) return("")
  connection <- file(path, "rb")
  on.exit(close(connection))
  seek(connection, max(0, size - bytes))
  read <- readBin(connection, "raw", bytes)
  iconv(rawToChar(read[read != 0]), "UTF-8", "UTF-8", sub = "?")
}

#' The first line that is a number: a wrapper may print something before.
#' @noRd
read_number <- function(path) {
  lines <- tryCatch(suppressWarnings(readLines(path, warn = FALSE)), error = function(condition) character())
  lines <- grep("^[0-9]+$", lines, value = TRUE)
  if (length(lines) > 0) as.integer(lines[1]) else NA_integer_
}

#' A shell script that runs a command and leaves behind its process id in `pid`, its stderr in `err`, and at the end its
#' exit code in `exit`. The terminal's Ctrl-C reaches the whole group, and here it is R that decides what it means: so
#' it is ignored.
#' @noRd
shell_script <- function(command, folder, stdout = NULL) {
  inside <- paste0(
    "echo $$ > \"$0/pid\"; exec \"$@\" 2> \"$0/err\" ", if (is.null(stdout)) ">&2" else sprintf("> \"$0/%s\"", stdout)
  )
  unset <- as.vector(rbind("-u", dropped_variables()))
  given <- paste0(names(ALLOCATOR), "=", ALLOCATOR)
  quoted <- shQuote(c("/bin/sh", "-c", inside, folder, "env", unset, given, command), type = "sh")
  paste0(
    "trap '' INT; exec 2> /dev/null; ", paste(quoted, collapse = " "),
    "; echo $? > ", shQuote(file.path(folder, "code"), "sh"), "; mv ", shQuote(file.path(folder, "code"), "sh"), " ",
    shQuote(file.path(folder, "exit"), "sh")
  )
}

#' The parts of a transport that watch a process through the files of shell_script().
#' @noRd
watched <- function(folder) {
  pid <- NA_integer_
  process_id <- function() {
    if (is.na(pid)) pid <<- read_number(file.path(folder, "pid"))
    pid
  }
  exited <- function() file.exists(file.path(folder, "exit"))
  signal <- function(number) {
    if (!is.na(process_id()) && !exited()) tools::pskill(process_id(), number)
  }
  list(
    pid = process_id,
    exited = exited,
    exit_code = function() read_number(file.path(folder, "exit")),
    stderr_tail = function() file_tail(file.path(folder, "err")),
    terminate = function() signal(tools::SIGTERM),
    kill = function() signal(tools::SIGKILL)
  )
}

#' Waits for something, in small steps; FALSE when it did not happen.
#' @noRd
happens <- function(condition, seconds) {
  end <- now() + seconds
  while (!condition()) {
    if (now() >= end) return(FALSE)
    Sys.sleep(0.005)
  }
  TRUE
}

#' Seconds of a clock, for differences. R has none that goes on evenly when somebody sets the time; Linux does.
#' @noRd
now <- function() {
  uptime <- tryCatch(suppressWarnings(scan("/proc/uptime", n = 1L, quiet = TRUE)), error = function(condition) NULL)
  if (length(uptime) == 1) uptime else as.double(Sys.time())
}
