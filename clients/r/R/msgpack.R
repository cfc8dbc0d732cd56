# msgpack as far as the protocol allows it (docs/protocol.md, section 2): nil, bool, integers, float64, str, bin, array,
# map.
#
#   msgpack            R
#   nil                NULL
#   bool               TRUE, FALSE
#   number             a double or integer without dim, of length 1
#   str                a character string
#   bin                a raw vector
#   array              a list without names; a character vector that is not one string
#   map                a list with names (an empty one is empty_map())
#   {dtype, shape, ..} numeric and logical vectors and arrays otherwise (see wire-array.R)

MAX_DEPTH <- 16L
MAX_ITEMS <- 10000L
MAX_ITEMS_IN_ALL <- 1e6
MAX_WHOLE <- 2^53 - 1

#' Bin from this size on is its own chunk, written without being copied next to others.
#' @noRd
OWN_CHUNK <- 16384L

#' A map without entries: an empty list alone would be an array.
#' @noRd
empty_map <- function() structure(list(), names = character())

#' A whole number as `width` bytes, the highest first.
#' @noRd
big_endian <- function(number, width) as.raw((number %/% 256^((width - 1):0)) %% 256)

# --- encoding ---

#' The chunks of a value: raw vectors whose concatenation is its canonical msgpack.
#' @noRd
msgpack_encode <- function(value) {
  out <- new.env(parent = emptyenv())
  out$parts <- list()
  pack(value, out, 0L)
  merge_chunks(out$parts)
}

#' Small neighbours become one chunk, so that a small message is one write.
#' @noRd
merge_chunks <- function(parts) {
  own <- lengths(parts) >= OWN_CHUNK
  group <- cumsum(own | c(FALSE, own[-length(own)]))
  if (length(parts) == 0 || group[length(group)] == group[1]) return(list(do.call(c, parts)))
  unname(lapply(split(parts, group), function(some) if (length(some) == 1) some[[1]] else do.call(c, some)))
}

put <- function(out, bytes) out$parts[[length(out$parts) + 1L]] <- bytes

pack <- function(value, out, depth) {
  if (is.null(value)) {
    put(out, as.raw(0xc0))
  } else if (is.raw(value)) {
    put(out, pack_length(length(value), NULL, 0xc4, 0xc5))
    put(out, value)
  } else if (is.list(value)) {
    pack_container(value, names(value), out, depth)
  } else if (is.character(value)) {
    if (length(value) == 1) put(out, pack_text(value)) else pack_container(as.list(unname(value)), NULL, out, depth)
  } else if (length(value) == 1 && is.null(dim(value)) && is.logical(value) && !is.na(value)) {
    put(out, as.raw(if (value) 0xc3 else 0xc2))
  } else if (length(value) == 1 && is.null(dim(value)) && is.numeric(value)) {
    put(out, pack_number(as.double(value)))
  } else if (is.numeric(value) || is.logical(value)) {
    pack(as_wire_array(value), out, depth)
  } else {
    laplace_stop(sprintf("A value of class %s cannot be sent.", class(value)[1]), "BAD_ARRAY")
  }
}

pack_container <- function(items, keys, out, depth) {
  if (depth >= MAX_DEPTH || length(items) > MAX_ITEMS) {
    laplace_stop(
      sprintf("A message may nest %d deep and hold %d items in a list; send numbers as arrays.", MAX_DEPTH, MAX_ITEMS),
      "BAD_ARRAY"
    )
  }
  if (is.null(keys)) {
    put(out, pack_length(length(items), c(0x90, 16), NULL, 0xdc))
  } else {
    put(out, pack_length(length(items), c(0x80, 16), NULL, 0xde))
  }
  for (index in seq_along(items)) {
    if (!is.null(keys)) put(out, pack_text(keys[[index]]))
    pack(items[[index]], out, depth + 1L)
  }
}

#' The head of something with a length. `short` is the first code of the one-byte heads and their number.
#' @noRd
pack_length <- function(length, short, code8, code16) {
  if (!is.null(short) && length < short[2]) return(as.raw(short[1] + length))
  if (!is.null(code8) && length < 256) return(c(as.raw(code8), as.raw(length)))
  if (length < 65536) return(c(as.raw(code16), big_endian(length, 2)))
  c(as.raw(code16 + 1), big_endian(length, 4))
}

pack_text <- function(text) {
  if (is.na(text)) laplace_stop("A missing string (NA) cannot be sent.", "BAD_ARRAY")
  bytes <- charToRaw(enc2utf8(text))
  c(pack_length(length(bytes), c(0xa0, 32), 0xd9, 0xda), bytes)
}

pack_number <- function(number) {
  if (is.na(number) || number != trunc(number) || number < -2^31 || number >= 2^32) {
    return(c(as.raw(0xcb), writeBin(number, raw(), endian = "big")))
  }
  if (number >= -32 && number < 128) return(as.raw(number %% 256))
  if (number >= 0) {
    width <- if (number < 256) 1 else if (number < 65536) 2 else 4
    return(c(as.raw(switch(as.character(width), `1` = 0xcc, `2` = 0xcd, `4` = 0xce)), big_endian(number, width)))
  }
  width <- if (number >= -128) 1 else if (number >= -32768) 2 else 4
  c(as.raw(switch(as.character(width), `1` = 0xd0, `2` = 0xd1, `4` = 0xd2)), big_endian(number + 256^width, width))
}

# --- decoding ---

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
