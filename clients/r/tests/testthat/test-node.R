with_node <- function(node, path, code) {
  old <- options(polylaplace.node = NULL)
  on.exit(options(old))
  inside$with_environment(c(POLYLAPLACE_NODE = node, PATH = path), code)
}

fake_node <- function(version, frame = parent.frame()) {
  path <- tempfile("node")
  writeLines(c("#!/bin/sh", sprintf("echo %s", version)), path)
  Sys.chmod(path, "755")
  path
}

test_that("no node is one clear sentence with the remedy", {
  skip_on_os("windows")
  empty <- tempfile()
  dir.create(empty)
  expect_error(
    inside$search_node(list()), "needs Node.js, and there is none.*https://nodejs.org.*POLYLAPLACE_NODE",
    class = "laplace_error_no_node"
  )
  # A node may be in the usual places, where it is found without PATH.
  with_node(NA, empty, expect_identical(laplace_available(), any(file.exists(inside$usual_places()))))
  with_node(file.path(empty, "missing"), Sys.getenv("PATH"), {
    expect_error(
      inside$find_node(), "no program '.*missing' \\(from POLYLAPLACE_NODE\\)", class = "laplace_error_resource"
    )
  })
})

test_that("an old node and something else are one clear sentence", {
  skip_on_os("windows")
  with_node(fake_node("v16.20.0"), Sys.getenv("PATH"), {
    expect_error(inside$find_node(), "16.20.0.* is too old. Install it", class = "laplace_error_no_node")
    expect_output(expect_false(doctor()), "too old.*cannot work here yet")
  })
  with_node(
    fake_node("hello"), Sys.getenv("PATH"),
    expect_error(inside$find_node(), "does not run as Node.js", class = "laplace_error_no_node")
  )
})

test_that("an old node that is started is the same sentence", {
  skip_on_os("windows")
  with_node(fake_node("v16.20.0"), Sys.getenv("PATH"), {
    expect_error(
      inside$connect_server(inside$new_server()), "16.20.0.* is too old. Install it", class = "laplace_error_no_node"
    )
  })
})

test_that("the option comes before the environment, and node is looked for once", {
  skip_without_node()
  node <- inside$find_node()
  local_options(polylaplace.node = node)
  expect_identical(inside$find_node(), node)
  memory <- inside$the
  memory$node <- "remembered"
  expect_identical(inside$find_node(), "remembered")
  memory$node_key <- NULL
})

test_that("doctor says that all is well", {
  skip_without_node()
  expect_output(expect_true(doctor()), "Node.js.*server.*a round trip.*Everything that is needed is there")
})

test_that("a missing server file says what to do", {
  local_options(polylaplace.server = tempfile())
  expect_error(inside$server_file(), "npm run build", class = "laplace_error_resource")
})
