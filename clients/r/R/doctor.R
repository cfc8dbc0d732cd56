#' Checks the set-up
#'
#' Says in sentences what works on this machine and what does not: R, Node.js, the bundled server, a round trip to it.
#'
#' @return `TRUE` when everything that is needed is there, otherwise `FALSE`, invisibly.
#' @export
#' @examples
#' doctor()
doctor <- function() {
  say <- function(mark, text) cat(sprintf("[%s] %s\n", mark, text))
  say("ok", sprintf("polylaplace %s, R %s, %s", package_version_text(), getRversion(), R.version$platform))
  for (package in c("nnet", "cli", "generics", "ggplot2", "processx")) {
    if (nzchar(system.file(package = package))) say("ok", paste(package, utils::packageVersion(package)))
  }
  for (candidate in node_candidates()) {
    examined <- examine_node(candidate$path)
    if (is.null(examined$problem)) {
      say("ok", sprintf("Node.js %s at %s (from %s)", examined$version, candidate$path, candidate$where))
      if (!is.null(examined$banner)) {
        say("--", sprintf("'%s' prints where only Node.js may.%s", candidate$path, examined$banner))
      }
    } else {
      say("--", examined$problem)
    }
  }
  healthy <- tryCatch(
    {
      find_node()
      say("ok", paste("server", server_file()))
      try_server(say)
      TRUE
    },
    laplace_error = function(condition) {
      say("!!", conditionMessage(condition))
      FALSE
    }
  )
  if (healthy) {
    say("ok", "Everything that is needed is there.")
  } else {
    say("!!", "polylaplace cannot work here yet; see the lines marked [!!].")
  }
  invisible(healthy)
}

#' Starts a server of its own, so that the session's is left alone.
#' @noRd
try_server <- function(say) {
  server <- new_server()
  on.exit(stop_server(server))
  request(server, "ping")
  seconds <- min(vapply(1:5, function(index) system.time(request(server, "ping"))[["elapsed"]], 0))
  say("ok", sprintf(
    "the server answers: version %s, protocol %s, through %s, %.0f ms a round trip",
    server$hello$version, server$hello$protocol, server$transport$name,
    seconds * 1000
  ))
  if (server$hello$version != package_version_text()) {
    say(
      "--",
      sprintf(
        "the server has version %s and the package %s; install both from one build.",
        server$hello$version, package_version_text()
      )
    )
  }
}
