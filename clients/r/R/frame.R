# Frames: a length of four bytes, little-endian, and a body of msgpack.

MAX_FRAME <- 2^32 - 1

#' The chunks of a message's frame; header and payload are written one after the other and never copied together.
#' @noRd
frame_chunks <- function(message, longest = MAX_FRAME) {
  chunks <- msgpack_encode(message)
  length <- sum(as.double(lengths(chunks)))
  if (length > longest) {
    laplace_stop(
      sprintf("A message of %.0f bytes cannot be sent, the server takes %.0f; give the data in batches.", length, longest),
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
  reader
}

feed <- function(reader, bytes) {
  reader$chunks[[length(reader$chunks) + 1L]] <- bytes
  reader$held <- reader$held + length(bytes)
}

#' How many more bytes complete the frame at the front.
#' @noRd
missing_bytes <- function(reader) {
  if (reader$held < 4) return(4 - reader$held)
  max(0, 4 + front_length(reader) - reader$held)
}

front_length <- function(reader) {
  # Four bytes in at most four chunks: the first ones are joined only when they are too short.
  while (length(reader$chunks[[1]]) < 4) {
    reader$chunks[[2]] <- c(reader$chunks[[1]], reader$chunks[[2]])
    reader$chunks[[1]] <- NULL
  }
  length <- sum(as.integer(reader$chunks[[1]][1:4]) * 256^(0:3))
  if (length < 1 || length > reader$longest) malformed(sprintf("a frame claims %.0f bytes", length))
  length
}

#' The body of the frame at the front, NULL while it is not whole.
#' @noRd
next_body <- function(reader) {
  if (reader$held < 4 || missing_bytes(reader) > 0) return(NULL)
  length <- front_length(reader)
  all <- if (length(reader$chunks) == 1) reader$chunks[[1]] else do.call(c, reader$chunks)
  body <- all[5:(4 + length)]
  rest <- if (length(all) > 4 + length) all[(5 + length):length(all)] else raw()
  reader$chunks <- if (length(rest) > 0) list(rest) else list()
  reader$held <- length(rest)
  body
}
