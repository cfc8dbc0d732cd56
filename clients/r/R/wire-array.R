# Arrays of the protocol: {dtype, shape, order, data}. R's arrays are column-major and go as they are, with order 'F'.

#' A numeric or logical vector or array as its map.
#' @noRd
as_wire_array <- function(x) {
  if (is.logical(x) || is.integer(x)) {
    if (anyNA(x)) laplace_stop("An array holds missing values (NA).", "NOT_FINITE")
  }
  dtype <- if (is.logical(x)) "bool" else if (is.integer(x)) "i32" else "f64"
  shape <- if (is.null(dim(x))) length(x) else dim(x)
  list(
    dtype = dtype, shape = as.list(as.double(shape)), order = if (length(shape) > 1) "F" else "C", data = wire_bytes(x)
  )
}

wire_bytes <- function(x) {
  if (is.logical(x)) return(as.raw(as.vector(x)))
  bytes <- as.double(length(x)) * if (is.integer(x)) 4 else 8
  if (bytes >= 2^31) {
    laplace_stop(
      sprintf("An array of %.0f bytes cannot be sent at once; give the data in batches.", bytes), "BAD_ARRAY"
    )
  }
  writeBin(as.vector(x), raw(), endian = "little")
}

is_wire_array <- function(value) {
  is.list(value) && is.raw(value[["data"]]) && is.character(value[["dtype"]]) && is.list(value[["shape"]])
}

#' The R vector or array of a map.
#' @noRd
from_wire_array <- function(value) {
  shape <- vapply(value$shape, as.double, 0)
  data <- wire_values(value$dtype, value$data)
  if (any(shape < 0 | shape != trunc(shape)) || prod(shape) != length(data)) {
    malformed(sprintf("an array of shape (%s) has %d items", paste(shape, collapse = ", "), length(data)))
  }
  if (length(shape) < 2) return(data)
  if (identical(value$order, "F")) return(array(data, shape))
  if (length(shape) == 2) return(matrix(data, shape[1], shape[2], byrow = TRUE))
  aperm(array(data, rev(shape)))
}

wire_values <- function(dtype, data) {
  size <- switch(
    dtype, f64 = 8L, f32 = 4L, i32 = 4L, i64 = 8L, u8 = 1L, bool = 1L,
    malformed(sprintf("the dtype '%s' is not known", dtype))
  )
  count <- length(data) / size
  if (count != trunc(count)) {
    malformed(sprintf("%d bytes are not a whole number of items of dtype %s", length(data), dtype))
  }
  switch(dtype,
    f64 = , f32 = readBin(data, "double", count, size = size, endian = "little"),
    i32 = readBin(data, "integer", count, size = size, endian = "little"),
    i64 = wire_i64(data, count),
    u8 = as.integer(data),
    bool = data != 0
  )
}

#' R has no 64-bit integers: doubles hold what the protocol allows, up to 2^53 - 1.
#' @noRd
wire_i64 <- function(data, count) {
  halves <- matrix(readBin(data, "integer", 2L * count, endian = "little"), 2L, count)
  low <- as.double(halves[1, ])
  # NA is the integer -2^31.
  low <- ifelse(is.na(low), 2^31, low + (low < 0) * 2^32)
  as.double(halves[2, ]) * 2^32 + low
}

#' A decoded value with its arrays as R's.
#' @noRd
from_wire <- function(value) {
  if (!is.list(value)) return(value)
  if (is_wire_array(value)) return(from_wire_array(value))
  for (index in seq_along(value)) {
    if (is.list(value[[index]])) value[[index]] <- from_wire(value[[index]])
  }
  value
}
