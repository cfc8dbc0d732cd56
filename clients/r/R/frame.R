# Frames: a length of four bytes, little-endian, and a body of msgpack.

MAX_FRAME <- 2^32 - 1

#' The chunks of a message's frame; header and payload are written one after the other and never copied together.
#' @noRd
frame_chunks <- function(message, longest = MAX_FRAME) {
  chunks <- msgpack_encode(message)
  length <- sum(as.double(lengths(chunks)))
  if (length > longest) {
    laplace_stop(
      sprintf(
        "A message of %.0f bytes cannot be sent, the server takes %.0f; give the data in batches.", length, longest
      ),
      "BAD_ARRAY", list(length = length, limit = longest)
    )
  }
  header <- rev(big_endian(length, 4))
  if (length(chunks) == 1) list(c(header, chunks[[1]])) else c(list(header), chunks)
}

#' A reader that is fed bytes as they come and gives whole bodies.
#' @noRd
new_frame_reader <- function(longest = MAX_FRAME) {
  reader <- new.env(parent = emptyenv())
  reader$longest <- longest
  reader$chunks <- list()
  reader$held <- 0
  # Length of the body at the front, NA while its header is not whole.
  reader$length <- NA_real_
  reader
}

feed <- function(reader, bytes) {
  reader$chunks[[length(reader$chunks) + 1L]] <- bytes
  reader$held <- reader$held + length(bytes)
  read_header(reader)
}

#' How many more bytes complete the frame at the front.
#' @noRd
missing_bytes <- function(reader) if (is.na(reader$length)) 4 - reader$held else max(0, reader$length - reader$held)

#' Takes the header off the front, once there are four bytes.
#' @noRd
read_header <- function(reader) {
  if (!is.na(reader$length) || reader$held < (if (isTRUE(reader$greeting)) 5 else 4)) return()
  front <- if (length(reader$chunks) == 1) reader$chunks[[1]] else do.call(c, reader$chunks)
  length <- sum(as.integer(front[1:4]) * 256^(0:3))
  if (isTRUE(reader$greeting)) check_greeting(reader, front, length)
  if (length < 1 || length > reader$longest) malformed(sprintf("a frame claims %.0f bytes", length))
  reader$length <- length
  keep_rest(reader, front, 4)
}

#' Longest first answer: what the server says of itself takes 2 KB.
#' @noRd
LONGEST_GREETING <- 65536

#' The first bytes of a server, before anything is set aside for them: a map of three entries (t, id, and ok or err).
#' @noRd
check_greeting <- function(reader, front, length) {
  reader$greeting <- FALSE
  if (length >= 1 && length <= LONGEST_GREETING && front[5] == as.raw(0x83)) return()
  printed <- substr(rawToChar(front[front >= as.raw(0x20) & front < as.raw(0x7f)]), 1, 300)
  laplace_stop(
    sprintf(
      paste(
        "What was started does not speak as the server does: it prints where only messages may go. It printed: '%s'.",
        "Let it print to stderr, or set POLYLAPLACE_NODE to Node.js itself."
      ),
      printed
    ),
    "PROTOCOL", list(stdout = printed, explained = TRUE), "laplace_error_server_crashed"
  )
}

keep_rest <- function(reader, bytes, from) {
  rest <- slice(bytes, from, length(bytes) - from)
  reader$chunks <- if (length(rest) > 0) list(rest) else list()
  reader$held <- length(rest)
}

#' The body of the frame at the front, NULL while it is not whole.
#' @noRd
next_body <- function(reader) {
  if (is.na(reader$length) || reader$held < reader$length) return(NULL)
  all <- if (length(reader$chunks) == 1) reader$chunks[[1]] else do.call(c, reader$chunks)
  length <- reader$length
  reader$length <- NA_real_
  keep_rest(reader, all, length)
  read_header(reader)
  # Most often a frame is all that has arrived, and is not copied once more.
  if (length(all) == length) all else slice(all, 0, length)
}
