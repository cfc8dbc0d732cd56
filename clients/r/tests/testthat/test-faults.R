# A server that misbehaves must give a clear error, never a hang or a wrong answer.

fake <- function(mode, frame = parent.frame()) {
  skip_without_node()
  skip_on_os("windows")
  server <- inside$new_server(c(inside$find_node(), test_path("fake-server.mjs"), mode), "fifo")
  do.call(on.exit, list(bquote(.(inside$drop_server)(.(server))), add = TRUE), envir = frame)
  server
}

test_that("P10: an answer byte by byte is read", {
  expect_equal(inside$request(fake("bytes"), "ping")$echo, 7)
})

test_that("P10: half a frame and the end", {
  expect_error(inside$request(fake("half"), "ping"), class = "laplace_error_server_crashed")
})

test_that("P10: a frame that claims 3 GB takes no memory and ends with the stream", {
  expect_error(inside$request(fake("claim"), "ping"), class = "laplace_error_server_crashed")
})

test_that("P10: garbage", {
  server <- fake("garbage")
  expect_error(inside$request(server, "ping"), "not valid", class = "laplace_error_protocol")
  expect_false(inside$is_running(server))
})

test_that("P2, H4: the exit code, the command and the last words are shown", {
  expect_error(
    inside$request(fake("exit"), "ping"), "exit code 7.*Command:.*fake-server.*the reason for leaving",
    class = "laplace_error_server_crashed"
  )
})

test_that("P2: 2 MB on stderr do not stop the server", {
  expect_equal(inside$request(fake("flood"), "ping")$echo, 7)
})

test_that("R5: a server that does not answer is cancelled, then ended", {
  server <- fake("deaf")
  pid <- NULL
  expect_error(
    {
      inside$connect_server(server)
      pid <- server$transport$pid()
      inside$request(server, "ping", timeout = 0.1)
    },
    class = "laplace_error_cancelled"
  )
  expect_false(is_alive(pid))
})

test_that("R1: answers to other requests are dropped", {
  expect_equal(inside$request(fake("stranger"), "ping")$echo, 7)
})

test_that("H4: a server that never says hello is given up", {
  skip_on_os("windows")
  local_options(polylaplace.start_timeout = 0.5)
  server <- inside$new_server(c("/bin/sh", "-c", "exec sleep 600", "sh"), "fifo")
  taken <- seconds_of(
    expect_error(
      inside$request(server, "ping"), "did not answer within 0.5 s.*Command:", class = "laplace_error_server_crashed"
    )
  )
  expect_lt(taken, HANG)
})

test_that("H4: a server that does not start says why", {
  skip_on_os("windows")
  for (transport in transports()) {
    server <- inside$new_server(c("/bin/sh", "-c", "echo no luck >&2; exit 3", "sh"), transport)
    expect_error(inside$request(server, "ping"), "no luck", class = "laplace_error_server_crashed", info = transport)
  }
})

# --- families of docs/security.md ---

skip_without_signals <- function() {
  skip_on_os("windows")
  skip_without_node()
  skip_if_not_installed("nnet")
}

test_that("55: Ctrl-C at any instant ends the call; the server and what was fitted stay", {
  skip_without_signals()
  told <- interrupt_often(40)
  expect_identical(names(told$ends), "interrupted", info = paste(names(told$ends), collapse = "; "))
  expect_lte(told$handles, 2)
})

test_that("kill -9 at random instants is a typed error; what was fitted and saved goes on working", {
  skip_without_signals()
  told <- kill_often(4)
  expect_identical(names(told$ends), "typed error", info = paste(names(told$ends), collapse = "; "))
})

test_that("56: forked processes take turns in starting their servers", {
  skip_without_signals()
  # `R CMD check --as-cran` allows two processes at once.
  processes <- if (nzchar(Sys.getenv("_R_CHECK_LIMIT_CORES_"))) 2 else 6
  for (started in c(TRUE, FALSE)) {
    told <- fork_many(processes, started)
    expect_identical(names(told$ends), "served", info = paste(names(told$ends), collapse = "; "))
  }
})

test_that("56: a turn whose owner was killed is given to the next", {
  skip_without_signals()
  slots <- lapply(seq_len(inside$START_SLOTS), function(index) inside$start_slot())
  on.exit(lapply(slots, inside$release_slot))
  child <- parallel::mcparallel(Sys.sleep(0))
  parallel::mccollect(child)
  cat(child$pid, file = file.path(slots[[2]], "pid"))
  expect_identical(inside$start_slot(), slots[[2]])
})

test_that("49: what a thread held that was ended is made again from the copy", {
  skip_without_signals()
  server <- local_server(slow_server_file())
  server$given_command <- c(server$given_command, "--workers", "1", "--thread-grace", "200")
  network <- inside$make_remote(server, "readNetwork")
  expect_error(
    inside$request(server, "fit", list(options = list(ms = 1e9, deaf = TRUE)), timeout = 0.2),
    class = "laplace_error_cancelled"
  )
  inside$request(server, "fit", list(options = inside$empty_map()))
  expect_match(get(network$handle, server$lost), "did not stop")
  expect_error(
    inside$request(server, "fit", list(model = network$handle)), "is gone: .*did not stop",
    class = "laplace_error_protocol"
  )
  object <- list(remote = network$remote, blob = as.raw(1:3))
  expect_false(identical(inside$handle_of(object, server), network$handle))
})

# A `node` that is a shell script; $REAL is the real one.
real_node <- if (laplace_available()) inside$find_node()
wrapped_node <- function(script) {
  path <- tempfile("node")
  writeLines(c("#!/bin/sh", paste0("REAL=", real_node), script), path)
  Sys.chmod(path, "755")
  path
}

test_that("60: a node that is not right is named in time, by what it prints, and by doctor()", {
  skip_without_signals()
  starts <- list(
    silent = list("sleep 600", "did not answer within [0-9]+ s"),
    words = list("echo waiting for a licence >&2; sleep 600", "waiting for a licence"),
    end = list("exit 0", "exit code 0"),
    why = list("echo no licence; exit 5", "no licence"),
    old = list("echo v16.20.0", "16.20.0.* is too old")
  )
  for (start in starts) {
    node <- wrapped_node(start[[1]])
    # The 600 s of the script are not waited for. A busy machine may not have let it come to its words.
    for (limit in c(2, 15, 100)) {
      local_options(polylaplace.node = node, polylaplace.start_timeout = limit)
      taken <- seconds_of(error <- expect_error(
        inside$request(inside$new_server(transport = "fifo"), "ping"), class = "laplace_error"
      ))
      expect_lt(taken, HANG)
      if (grepl(start[[2]], conditionMessage(error))) break
    }
    expect_match(conditionMessage(error), start[[2]])
    expect_output(expect_false(doctor()), basename(node), info = start[[1]])
  }
  local_options(polylaplace.node = tempfile())
  expect_error(inside$request(inside$new_server(), "ping"), "no program", class = "laplace_error_no_node")
})

test_that("60: a banner does no harm where messages go another way, and is named where they do not", {
  skip_without_signals()
  node <- wrapped_node("echo Welcome to node; exec \"$REAL\" \"$@\"")
  local_options(polylaplace.node = node)
  for (transport in c("fifo", "tcp")) {
    server <- inside$new_server(transport = transport)
    expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1, info = transport)
    inside$stop_server(server)
  }
  expect_output(doctor(), "Welcome to node")
  reader <- inside$new_frame_reader()
  reader$greeting <- TRUE
  expect_error(
    inside$feed(reader, charToRaw("Welcome to node\n")), "It printed: 'Welcome to node'",
    class = "laplace_error_server_crashed"
  )
})

test_that("60: a slow start can be given longer", {
  skip_without_signals()
  local_options(polylaplace.node = wrapped_node("sleep 2; exec \"$REAL\" \"$@\""), polylaplace.start_timeout = 120)
  server <- inside$new_server(transport = "fifo")
  expect_identical(inside$request(server, "ping", list(echo = 1))$echo, 1)
  inside$stop_server(server)
  local_options(polylaplace.start_timeout = "soon")
  expect_error(inside$start_timeout(), "number of seconds", class = "laplace_error_option")
})
