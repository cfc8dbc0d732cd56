fixtures <- function(...) list.files(repository_file("protocol", "fixtures", "v1", ...), "\\.bin$", full.names = TRUE)

read_all <- function(path) readBin(path, "raw", file.size(path))

# {"$bin": base64} of the descriptions.
base64_bytes <- function(text) {
  digits <- match(strsplit(gsub("=", "", text), "")[[1]], c(LETTERS, letters, 0:9, "+", "/")) - 1L
  bits <- vapply(digits, function(digit) rev(as.integer(intToBits(digit))[1:6]), integer(6))
  count <- length(bits) %/% 8
  if (count == 0) return(raw())
  packBits(as.integer(apply(matrix(bits[seq_len(8 * count)], 8), 2, rev)), "raw")
}

with_bin <- function(value) {
  if (!is.list(value)) return(value)
  if (identical(names(value), "$bin")) return(base64_bytes(value[[1]]))
  for (index in seq_along(value)) {
    item <- with_bin(value[[index]])
    if (!is.null(item)) value[[index]] <- item
  }
  value
}

test_that("H3: every golden frame decodes to its description and encodes to the same bytes", {
  paths <- fixtures()
  expect_gt(length(paths), 50)
  for (path in paths) {
    bytes <- read_all(path)
    reader <- inside$new_frame_reader()
    inside$feed(reader, bytes)
    message <- inside$msgpack_decode(inside$next_body(reader))
    description <- read_json("protocol", "fixtures", "v1", sub("bin$", "json", basename(path)))
    expect_identical(message, with_bin(description$message), info = path)
    expect_identical(do.call(c, inside$frame_chunks(message)), bytes, info = path)
  }
})

test_that("F4: every frame that must be refused is refused", {
  paths <- fixtures("refused")
  expect_gt(length(paths), 15)
  for (path in paths) {
    expect_error(inside$msgpack_decode(read_all(path)[-(1:4)]), class = "laplace_error_protocol", info = path)
  }
})

test_that("F1: frames that come byte by byte, and several at once, are read", {
  frames <- c(do.call(c, inside$frame_chunks(list(a = 1))), do.call(c, inside$frame_chunks(list(b = "two"))))
  reader <- inside$new_frame_reader()
  bodies <- list()
  for (byte in frames) {
    inside$feed(reader, byte)
    body <- inside$next_body(reader)
    if (!is.null(body)) bodies <- c(bodies, list(inside$msgpack_decode(body)))
  }
  expect_identical(bodies, list(list(a = 1), list(b = "two")))
  reader <- inside$new_frame_reader()
  inside$feed(reader, frames)
  expect_identical(inside$msgpack_decode(inside$next_body(reader)), list(a = 1))
  expect_identical(inside$msgpack_decode(inside$next_body(reader)), list(b = "two"))
  expect_null(inside$next_body(reader))
})

test_that("F1: a frame without a body and one above the limit are refused", {
  for (header in list(as.raw(c(0, 0, 0, 0)), as.raw(c(255, 255, 255, 255)))) {
    reader <- inside$new_frame_reader(longest = 1e9)
    expect_error(inside$feed(reader, header), class = "laplace_error_protocol")
  }
})

test_that("large frames are cut where they end", {
  big <- list(x = as.raw(rep(1:250, 1000)), y = 3)
  frame <- do.call(c, inside$frame_chunks(big))
  reader <- inside$new_frame_reader()
  inside$feed(reader, c(frame, frame, frame[1:2]))
  expect_identical(inside$msgpack_decode(inside$next_body(reader)), big)
  expect_identical(inside$msgpack_decode(inside$next_body(reader)), big)
  expect_null(inside$next_body(reader))
  expect_identical(inside$missing_bytes(reader), 2)
  inside$feed(reader, frame[-(1:2)])
  expect_identical(inside$msgpack_decode(inside$next_body(reader)), big)
})

test_that("a message that the server would not take is refused before it is sent", {
  expect_error(inside$frame_chunks(list(x = numeric(1000)), longest = 5000), "5000", class = "laplace_error_data")
})

test_that("F2: arrays of every rank and type survive", {
  arrays <- list(
    c(0.5, 2, -3), matrix(c(1.5, 2, 3, 4, 5, 6), 2), array(1:24 / 7, 2:4), array(1:120 / 7, 2:5), c(TRUE, FALSE),
    matrix(c(TRUE, FALSE), 1), matrix(numeric(), 0, 3)
  )
  for (value in arrays) {
    chunks <- inside$msgpack_encode(list(x = inside$as_wire_array(value)))
    expect_identical(inside$from_wire(inside$msgpack_decode(do.call(c, chunks)))$x, value)
  }
})

test_that("F2: row-major arrays are transposed, and all dtypes read", {
  wire <- function(dtype, data, shape, order = "C") {
    inside$from_wire_array(list(dtype = dtype, shape = as.list(shape), order = order, data = data))
  }
  doubles <- writeBin(as.double(1:6), raw(), endian = "little")
  expect_identical(wire("f64", doubles, c(2, 3)), matrix(as.double(1:6), 2, byrow = TRUE))
  expect_identical(wire("f64", doubles, c(2, 3), "F"), matrix(as.double(1:6), 2))
  expect_identical(wire("f64", doubles, c(1, 2, 3))[1, 2, ], c(4, 5, 6))
  expect_identical(wire("f32", writeBin(c(0.5, 2), raw(), size = 4, endian = "little"), 2), c(0.5, 2))
  expect_identical(wire("i32", writeBin(c(1L, -2L), raw(), endian = "little"), 2), c(1L, -2L))
  expect_identical(
    wire("i64", as.raw(c(rep(255, 8), 0, 0, 0, 128, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)), 3), c(-1, 2^31, 2^32 + 1)
  )
  expect_identical(wire("u8", as.raw(c(0, 255)), 2), c(0L, 255L))
  expect_identical(wire("bool", as.raw(c(0, 1)), 2), c(FALSE, TRUE))
  expect_error(wire("f64", doubles, c(2, 2)), class = "laplace_error_protocol")
  expect_error(wire("f64", doubles[-1], 6), class = "laplace_error_protocol")
  expect_error(wire("f16", doubles, 6), class = "laplace_error_protocol")
})

test_that("F5: NaN, infinities and NA are float64; whole numbers are short", {
  for (number in c(NaN, Inf, -Inf, 0.1, 1e300)) expect_length(inside$pack_number(number), 9)
  expect_identical(inside$pack_number(1), as.raw(1))
  expect_identical(inside$pack_number(-0), as.raw(0))
  expect_error(inside$as_wire_array(c(1L, NA)), class = "laplace_error_data")
})

test_that("what cannot be sent is an error", {
  deep <- 1
  for (level in 1:17) deep <- list(deep)
  expect_error(inside$msgpack_encode(list(x = deep)), class = "laplace_error_data")
  expect_error(inside$msgpack_encode(list(x = as.list(1:10001))), class = "laplace_error_data")
  expect_error(inside$msgpack_encode(list(x = NA_character_)), class = "laplace_error_data")
  expect_error(inside$msgpack_encode(list(x = 1i)), class = "laplace_error_data")
})

test_that("text in other encodings is sent as UTF-8", {
  latin <- "caf\xe9"
  Encoding(latin) <- "latin1"
  expect_identical(inside$pack_text(latin), inside$pack_text("caf\u00e9"))
})

test_that("JSON is read", {
  text <- '{"a": [1, -2.5e3, true, null], "b": {"c": "x\\n\\u00e9\\ud83d\\ude00\\""}, "d": [], "e": {}}'
  expect_identical(
    inside$parse_json(text),
    list(a = list(1, -2500, TRUE, NULL), b = list(c = "x\n\u00e9\U1F600\""), d = list(), e = inside$empty_map())
  )
  for (wrong in c("", "[1", "{\"a\" 1}", "[1] 2", "nope", "[1,]", "{1: 2}")) {
    expect_error(inside$parse_json(wrong), class = "laplace_error_untrusted_input", info = wrong)
  }
})
