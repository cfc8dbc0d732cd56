# Posteriors on the server, and how they get there again: after readRDS, in a forked child, or when the server was
# restarted.

#' A handle that is freed when it is no longer needed. It holds no connection, so that it can be saved and read in
#' another session.
#' @noRd
new_remote <- function(server, handle) {
  remote <- new.env(parent = emptyenv())
  hold(remote, server, handle)
  remote
}

hold <- function(remote, server, handle) {
  remote$handle <- handle
  remote$generation <- server$generation
  # Registered each time, because finalizers do not survive saveRDS; freeing twice does no harm.
  reg.finalizer(remote, function(old) free_later(server, old$generation, old$handle))
}

#' Calls a method that makes a posterior. Returns its answer with the remote, which nothing comes in between of.
#' @noRd
make_remote <- function(server, method, ...) {
  suspendInterrupts({
    answer <- request(server, method, ...)
    c(answer, list(remote = new_remote(server, answer$handle)))
  })
}

#' The handle on the present server, which is sent the blob where it does not have the posterior.
#' @noRd
handle_of <- function(object, server = laplace_server()) {
  connect_server(server)
  remote <- object$remote
  if (!identical(remote$generation, server$generation) || exists(remote$handle, server$lost, inherits = FALSE)) {
    suspendInterrupts(hold(remote, server, made_on(server, object)))
  }
  remote$handle
}

#' The handle of a fitted object, or of a mixture, made on a server.
#' @noRd
made_on <- function(server, object) {
  if (is_mixture(object)) mixed_on(server, object) else request(server, "load", list(data = object$blob))$handle
}

is_mixture <- function(object) inherits(object, "laplace_mixture")

#' Calls a method of a fitted object's posterior, or of a mixture.
#' @noRd
ask <- function(object, method, params = list(), ..., progress = NULL) {
  server <- laplace_server()
  handle <- stats::setNames(list(handle_of(object, server)), if (is_mixture(object)) "mixture" else "posterior")
  request(server, method, c(handle, params), ..., progress = progress)
}
