# Reading msgpack; msgpack.R says what becomes what.

#' The map of a frame's body. Refuses whatever the protocol does not allow.
#' @noRd
msgpack_decode <- function(body) {
  source <- new.env(parent = emptyenv())
  source$body <- body
  source$length <- length(body)
  source$at <- 0L
  source$items <- 0
  value <- unpack(source, 0L)
  if (!is.list(value) || is.null(names(value))) malformed("The message is not a map")
  if (source$at != source$length) malformed(sprintf("%d bytes follow the map", source$length - source$at))
  value
}

malformed <- function(what) laplace_stop(paste0("A message is not valid: ", what, "."), "PROTOCOL")

#' Takes the next bytes.
#' @noRd
take <- function(source, count) {
  # The count may itself be taken from the source.
  force(count)
  at <- source$at
  if (count > source$length - at) malformed(sprintf("it ends early, at byte %d", source$length))
  source$at <- at + count
  if (count > 0 && count < 65536) source$body[(at + 1):(at + count)] else slice(source$body, at, count)
}

#' Some bytes of many. A connection copies a large piece ten times as fast as an index does.
#' @noRd
slice <- function(bytes, from, count) {
  if (count == 0) return(raw())
  if (count < 65536 || length(bytes) > .Machine$integer.max) return(bytes[(from + 1):(from + count)])
  connection <- rawConnection(bytes)
  on.exit(close(connection))
  seek(connection, from)
  readBin(connection, "raw", count)
}

take_whole <- function(source, width) {
  bytes <- as.double(take(source, width))
  if (width == 1) bytes else sum(bytes * 256^((width - 1):0))
}

unpack <- function(source, depth) {
  at <- source$at
  if (at >= source$length) malformed(sprintf("it ends early, at byte %d", source$length))
  source$at <- at + 1L
  code <- as.integer(source$body[[at + 1L]])
  if (code < 0x80L) return(as.double(code))
  if (code < 0x90L) return(unpack_map(source, code - 0x80L, depth))
  if (code < 0xa0L) return(unpack_list(source, code - 0x90L, depth))
  if (code < 0xc0L) return(unpack_text(source, code - 0xa0L))
  if (code >= 0xe0L) return(as.double(code - 256L))
  # By position, 0xc0 first: comparing with names would take most of the time of a small message.
  switch(code - 0xbfL,
    NULL, not_allowed(code), FALSE, TRUE,
    take(source, take_whole(source, 1)), take(source, take_whole(source, 2)), take(source, take_whole(source, 4)),
    not_allowed(code), not_allowed(code), not_allowed(code), not_allowed(code),
    readBin(take(source, 8L), "double", 1L, endian = "big"),
    take_whole(source, 1), take_whole(source, 2), take_whole(source, 4), safe_whole(take_whole(source, 8)),
    signed(source, 1), signed(source, 2), signed(source, 4), signed(source, 8),
    not_allowed(code), not_allowed(code), not_allowed(code), not_allowed(code), not_allowed(code),
    unpack_text(source, take_whole(source, 1)), unpack_text(source, take_whole(source, 2)),
    unpack_text(source, take_whole(source, 4)),
    unpack_list(source, take_whole(source, 2), depth), unpack_list(source, take_whole(source, 4), depth),
    unpack_map(source, take_whole(source, 2), depth), unpack_map(source, take_whole(source, 4), depth)
  )
}

not_allowed <- function(code) malformed(sprintf("the type 0x%02x is not allowed", code))

safe_whole <- function(number) if (number > MAX_WHOLE) malformed("a whole number is beyond 2^53 - 1") else number

signed <- function(source, width) {
  bytes <- take(source, width)
  negative <- bytes[1] >= as.raw(0x80)
  # The magnitude of a negative number is its complement plus one; taking it so is exact in doubles.
  magnitude <- sum(as.integer(if (negative) !bytes else bytes) * 256^((width - 1):0))
  if (negative) -safe_whole(magnitude + 1) else safe_whole(magnitude)
}

unpack_text <- function(source, length) {
  bytes <- take(source, length)
  # R's strings cannot hold the character U+0000.
  if (!all(as.logical(bytes))) malformed("text holds a NUL character")
  text <- rawToChar(bytes)
  if (!validUTF8(text)) malformed("text is not UTF-8")
  Encoding(text) <- "UTF-8"
  text
}

check_count <- function(source, count, bytes, depth) {
  if (depth >= MAX_DEPTH) malformed(sprintf("it nests deeper than %d", MAX_DEPTH))
  if (count > MAX_ITEMS) malformed(sprintf("a list holds %.0f items; %d are allowed", count, MAX_ITEMS))
  if (count * bytes > source$length - source$at) malformed("it ends early")
  source$items <- source$items + count
  if (source$items > MAX_ITEMS_IN_ALL) malformed("it holds too many items")
}

unpack_list <- function(source, count, depth) {
  check_count(source, count, 1, depth)
  values <- vector("list", count)
  for (index in seq_len(count)) {
    value <- unpack(source, depth + 1L)
    if (!is.null(value)) values[[index]] <- value
  }
  values
}

unpack_map <- function(source, count, depth) {
  check_count(source, count, 2, depth)
  values <- vector("list", count)
  keys <- character(count)
  for (index in seq_len(count)) {
    key <- unpack(source, depth + 1L)
    if (!is.character(key)) malformed("a key is not a string")
    keys[index] <- key
    value <- unpack(source, depth + 1L)
    if (!is.null(value)) values[[index]] <- value
  }
  if (anyDuplicated(keys)) malformed("a key occurs twice")
  if ("__proto__" %in% keys) malformed("the key __proto__ is not allowed")
  names(values) <- keys
  values
}
