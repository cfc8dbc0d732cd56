# Writing msgpack; msgpack.R says what becomes what.

#' Bin from this size on is its own chunk, written without being copied next to others.
#' @noRd
OWN_CHUNK <- 16384L

#' A whole number as `width` bytes, the highest first.
#' @noRd
big_endian <- function(number, width) as.raw((number %/% 256^((width - 1):0)) %% 256)

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
