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
  taken <- seconds_of(expect_error(
    {
      inside$connect_server(server)
      pid <- server$transport$pid()
      inside$request(server, "ping", timeout = 0.1)
    },
    class = "laplace_error_cancelled"
  ))
  expect_lt(taken, 12)
  expect_false(is_alive(pid))
})

test_that("R1: answers to other requests are dropped", {
  expect_equal(inside$request(fake("stranger"), "ping")$echo, 7)
})

test_that("H4: a server that never says hello is given up", {
  skip_on_os("windows")
  local_options(polylaplace.start_timeout = 0.5)
  server <- inside$new_server(c("/bin/sh", "-c", "exec sleep 20", "sh"), "fifo")
  taken <- seconds_of(
    expect_error(
      inside$request(server, "ping"), "did not answer within 0.5 s.*Command:", class = "laplace_error_server_crashed"
    )
  )
  expect_lt(taken, 5)
})

test_that("H4: a server that does not start says why", {
  skip_on_os("windows")
  for (transport in transports()) {
    server <- inside$new_server(c("/bin/sh", "-c", "echo no luck >&2; exit 3", "sh"), transport)
    expect_error(inside$request(server, "ping"), "no luck", class = "laplace_error_server_crashed", info = transport)
  }
})
