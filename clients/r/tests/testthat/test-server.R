# The connection to a real server whose methods are those of test/protocol/server/slow-worker.ts.

slow <- function(server, ..., timeout = NULL, progress = NULL) {
  inside$request(server, "fit", list(options = list(...)), timeout, progress)
}

for (transport in transports()) {
  test_that(paste("requests and answers through", transport), {
    server <- local_server(slow_server_file(), transport)
    expect_identical(inside$request(server, "ping", list(echo = "\u00e9\U1F600"))$echo, "\u00e9\U1F600")
    expect_identical(server$transport$name, transport)
    expect_length(inside$request(server, "predict", list(options = list(bytes = 3e6)))$data, 3e6)
    x <- matrix(as.double(1:1e6), 1000)
    expect_identical(inside$request(server, "predict", list(x = x))$method, "predict")
    expect_output(print(server), "version .* through")
    expect_error(inside$request(server, "nonsense"), class = "laplace_error_protocol")
  })

  test_that(paste("R3, P5: an interrupt cancels and the session stays usable, through", transport), {
    skip_on_os("windows")
    server <- local_server(slow_server_file(), transport)
    inside$request(server, "ping")
    pid <- server$transport$pid()
    press <- at_first_progress(signal_later(Sys.getpid(), "INT", 0.2))
    result <- tryCatch(slow(server, ms = 1e9, progress = press), interrupt = function(condition) "interrupted")
    expect_identical(result, "interrupted")
    expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
    expect_identical(server$transport$pid(), pid)
  })

  test_that(paste("P6: a server that is killed during a fit, through", transport), {
    skip_on_os("windows")
    server <- local_server(slow_server_file(), transport)
    inside$request(server, "ping")
    pid <- server$transport$pid()
    kill <- at_first_progress(tools::pskill(pid, 9L))
    expect_error(slow(server, ms = 1e9, progress = kill), "SIGKILL.*Command:", class = "laplace_error_server_crashed")
    expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
    expect_false(identical(server$transport$pid(), pid))
  })

  test_that(paste("P5: closing ends the server, through", transport), {
    server <- local_server(slow_server_file(), transport)
    inside$request(server, "ping")
    pid <- server$transport$pid()
    close(server)
    expect_true(inside$happens(function() !is_alive(pid), 300))
    expect_output(print(server), "not running")
    close(server)
  })
}

test_that("P5: a second interrupt ends a server that does not cancel", {
  skip_on_os("windows")
  server <- local_server(slow_server_file())
  inside$request(server, "ping")
  pid <- server$transport$pid()
  # A stopped server cannot answer the cancellation.
  tools::pskill(pid, 19L)
  tryCatch(
    {
      signal_later(Sys.getpid(), "INT", 1)
      signal_later(Sys.getpid(), "INT", 3)
      slow(server, ms = 1e9)
    },
    interrupt = function(condition) NULL
  )
  expect_false(is_alive(pid))
  expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
})

test_that("P5: the terminal's Ctrl-C, which reaches the whole group, does not end the server", {
  skip_on_os("windows")
  server <- local_server(slow_server_file())
  inside$request(server, "ping")
  pid <- server$transport$pid()
  tools::pskill(pid, tools::SIGINT)
  Sys.sleep(0.1)
  expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
  expect_identical(server$transport$pid(), pid)
})

test_that("R4: progress is told, and an error in the function cancels", {
  server <- local_server(slow_server_file())
  seen <- list()
  # Longer where others had the processors.
  for (ms in c(500, 4000, 32000)) {
    if (length(seen) > 0) break
    slow(server, ms = ms, progress = function(stage, done, total, message) seen[[length(seen) + 1]] <<- stage)
    expect_lte(length(seen), ms / 100 + 2)
  }
  expect_identical(seen[[1]], "fit")
  expect_error(slow(server, ms = 1e9, progress = function(...) stop("enough")), "enough")
  expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
  nested <- NULL
  for (ms in c(400, 4000, 32000)) {
    if (!is.null(nested)) break
    slow(server, ms = ms, progress = function(...) nested <<- inside$request(server, "ping", list(echo = 5))$echo)
  }
  expect_identical(nested, 5)
})

test_that("R4: a bar of cli", {
  skip_if_not_installed("cli")
  server <- local_server(slow_server_file())
  expect_identical(suppressMessages(slow(server, ms = 300, progress = TRUE))$method, "fit")
})

test_that("R5: a deadline", {
  server <- local_server(slow_server_file())
  error <- expect_error(slow(server, ms = 1e9, timeout = 0.2), class = "laplace_error_cancelled")
  expect_identical(error$code, "DEADLINE")
})

test_that("R7: objects that are gone are freed", {
  server <- local_server(slow_server_file())
  for (index in 1:5) inside$new_remote(server, inside$request(server, "readNetwork")$handle)
  expect_length(inside$request(server, "stats")$handles, 5)
  gc()
  inside$request(server, "ping")
  expect_length(inside$request(server, "stats")$handles, 0)
})

test_that("P1: what a dependency prints does not disturb", {
  server <- local_server(slow_server_file())
  for (index in 1:20) slow(server, print = TRUE, descriptor = TRUE)
  expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
})

test_that("P3: no orphan when R ends or is killed", {
  skip_on_os("windows")
  file <- slow_server_file()
  for (how in c("quit", "kill")) {
    script <- tempfile(fileext = ".R")
    pids <- tempfile()
    writeLines(c(
      sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")),
      "inside <- asNamespace('polylaplace')",
      sprintf("server <- inside$new_server(c(inside$find_node(), '%s', 'serve'), 'fifo')", file),
      "inside$request(server, 'ping')",
      sprintf("cat(server$transport$pid(), file = '%s')", pids),
      if (how == "kill") "tools::pskill(Sys.getpid(), 9L)"
    ), script)
    system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = FALSE, stderr = FALSE)
    pid <- as.integer(readLines(pids, warn = FALSE))
    expect_true(inside$happens(function() !is_alive(pid), 300), info = how)
  }
})

test_that("P5: a forked child has a server of its own", {
  skip_on_os("windows")
  server <- local_server(slow_server_file())
  inside$request(server, "ping")
  pid <- server$transport$pid()
  children <- parallel::mclapply(1:2, function(index) {
    echo <- inside$request(server, "ping", list(echo = index))$echo
    child <- server$transport$pid()
    close(server)
    c(echo, child)
  }, mc.cores = 2)
  expect_equal(vapply(children, `[`, 0, 1), c(1, 2))
  expect_false(pid %in% vapply(children, `[`, 0, 2))
  expect_identical(inside$request(server, "ping", list(echo = 3))$echo, 3)
  expect_identical(server$transport$pid(), pid)
})

test_that("P6: no endless restarts", {
  skip_on_os("windows")
  server <- local_server(slow_server_file())
  for (index in 1:4) {
    inside$request(server, "ping")
    tools::pskill(server$transport$pid(), tools::SIGKILL)
    expect_error(inside$request(server, "ping"), class = "laplace_error_server_crashed")
  }
  expect_error(inside$request(server, "ping"), "times within", class = "laplace_error_server_crashed")
  close(server)
  expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
})

test_that("P7: NODE_OPTIONS and other variables do not reach the server", {
  skip_if_not(file.exists("/proc/self/environ"), "needs /proc")
  inside$with_environment(c(NODE_OPTIONS = "--no-such-option", SOME_SECRET = "x"), {
    server <- local_server(slow_server_file())
    inside$request(server, "ping")
    path <- sprintf("/proc/%d/environ", server$transport$pid())
    bytes <- readBin(path, "raw", 1e5)
    bytes[bytes == 0] <- charToRaw("\n")
    expect_no_match(rawToChar(bytes), "NODE_OPTIONS|SOME_SECRET")
  })
  expect_false(nzchar(Sys.getenv("SOME_SECRET")))
})

test_that("P10: a stopped server is killed by close", {
  skip_on_os("windows")
  server <- local_server(slow_server_file())
  inside$request(server, "ping")
  pid <- server$transport$pid()
  tools::pskill(pid, 19L)
  close(server)
  expect_false(is_alive(pid))
})

test_that("P10: two servers at once", {
  one <- local_server(slow_server_file())
  two <- local_server(slow_server_file())
  expect_identical(inside$request(one, "ping", list(echo = 1))$echo, 1)
  expect_identical(inside$request(two, "ping", list(echo = 2))$echo, 2)
  expect_false(identical(one$transport$pid(), two$transport$pid()))
})

test_that("P8: Windows' way of starting, tried here in a process of its own", {
  skip_on_os("windows")
  skip_if_not_installed("processx", "3.8.0")
  script <- tempfile(fileext = ".R")
  writeLines(c(
    sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")),
    "inside <- asNamespace('polylaplace')",
    sprintf("command <- c(inside$find_node(), '%s', 'serve', '--transport', 'tcp-loopback')", slow_server_file()),
    "process <- inside$with_environment(c(POLYLAPLACE_TOKEN = strrep('a', 32)), inside$launch_processx(command))",
    "stopifnot(inside$wait_for_port(process) > 0, !process$exited())",
    "process$terminate()",
    "stopifnot(inside$happens(process$exited, 300))",
    "process$release()",
    "process <- inside$with_environment(c(POLYLAPLACE_TOKEN = strrep('a', 32)), inside$launch_windows(command))",
    "port <- inside$wait_for_port(process)",
    "socket <- socketConnection('127.0.0.1', port, open = 'r+b')",
    "close(socket)"
  ), script)
  output <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE, stderr = TRUE)
  expect_null(attr(output, "status"), info = paste(output, collapse = "\n"))
})

test_that("tokens differ and cannot be guessed from R's random numbers", {
  set.seed(1)
  one <- inside$random_token()
  set.seed(1)
  expect_match(one, "^[0-9a-f]{32}$")
  expect_false(one == inside$random_token())
})
