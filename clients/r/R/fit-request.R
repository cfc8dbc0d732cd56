# A fit as requests to the server: in one message where it is small, in batches where it is large.

#' Arrays above this many bytes are sent in several messages.
#' @noRd
BATCH_BYTES <- 256 * 2^20

#' A fit of a network and data up to this size carries the network with it, in one message.
#' @noRd
ONE_MESSAGE <- 2^20

#' Bytes of the bulk data in parameters.
#' @noRd
bytes_of <- function(value) {
  if (is.raw(value)) return(length(value))
  if (is.list(value)) sum(vapply(value, bytes_of, 0)) else 0
}

#' list(remote, summary, blob) of a new posterior.
#' @param data x and y as arrays of the wire; `x` is the same as R has it, to be cut into rows where it is large.
#' @noRd
fit_on_server <- function(network, options, x, data, settings) {
  server <- laplace_server()
  bytes <- bytes_of(data)
  if (bytes + bytes_of(network) <= ONE_MESSAGE) {
    model <- list(network = network)
  } else {
    # It is freed with this call: the posterior does not need it.
    read <- make_remote(server, "readNetwork", c(network, list(brief = TRUE)), settings$timeout)
    model <- list(model = read$handle)
  }
  params <- c(model, list(options = options), if (!is.null(settings$validation)) list(validation = settings$validation))
  answer <- tryCatch(
    if (bytes <= BATCH_BYTES) {
      make_remote(server, "fit", c(params, data), settings$timeout, settings$progress)
    } else {
      fit_in_batches(server, params, x, data$y, settings, weights = data$sampleWeight)
    },
    laplace_error_data = function(condition) stop(with_label_hint(condition, data$y))
  )
  blob <- request(server, "save", list(posterior = answer$handle))$data
  list(remote = answer$remote, summary = answer$summary, blob = blob)
}

#' R counts from 1; classes are counted from 0.
#' @noRd
with_label_hint <- function(condition, y) {
  if (identical(condition$code, "BAD_LABELS") && length(y$shape) == 1 && min(from_wire_array(y)) == 1) {
    condition$message <- paste(
      condition$message, "Give `y` as a factor, or subtract 1 from class numbers that count from 1."
    )
  }
  condition
}

#' The answer to a fit whose rows go in several messages.
#' @noRd
fit_in_batches <- function(server, params, x, y, settings, bytes = BATCH_BYTES, weights = NULL) {
  y <- from_wire_array(y)
  if (!is.null(weights)) weights <- from_wire_array(weights)
  begun <- make_remote(server, "fitBegin", params, settings$timeout)
  fit <- begun$handle
  for (rows in row_batches(x, bytes)) {
    batch <- list(fit = fit, x = as_wire_examples(rows_of(x, rows)), y = as_wire_array(rows_of(y, rows)))
    if (!is.null(weights)) batch$sampleWeight <- as_wire_array(weights[rows])
    request(server, "fitBatch", batch, settings$timeout)
  }
  make_remote(server, "fitEnd", list(fit = fit), settings$timeout, settings$progress)
}

#' Row numbers in batches that can be sent at once.
#' @noRd
row_batches <- function(x, bytes = BATCH_BYTES) {
  count <- dim(x)[1]
  step <- max(1, floor(bytes / (8 * prod(dim(x)[-1]))))
  starts <- seq(1, count, by = step)
  lapply(starts, function(start) start:min(count, start + step - 1))
}
