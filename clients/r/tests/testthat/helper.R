# Functions of the package that are not exported, without ::: everywhere.
inside <- asNamespace("polylaplace")

# The repository, for tests against its fixtures; tests/check.sh says where it is. The package alone does not have them.
repository_file <- function(...) {
  root <- Sys.getenv("POLYLAPLACE_REPOSITORY")
  skip_if(!nzchar(root), "POLYLAPLACE_REPOSITORY is not set: the fixtures are in the repository, not in the package")
  file.path(root, ...)
}

# A server whose methods take as long, print as much and fail as the request says (test/protocol/server/slow-worker.ts).
slow_server_file <- function() {
  folder <- Sys.getenv("POLYLAPLACE_SLOW_SERVER")
  skip_if(!nzchar(folder), "POLYLAPLACE_SLOW_SERVER is not set: it is built by tests/check.sh")
  file.path(folder, "polylaplace.mjs")
}

skip_without_node <- function() {
  skip_if_not(laplace_available(), "Node.js 20.19 or newer, or the bundled server, is missing")
}

# A connection that ends with the test.
local_server <- function(file, transport = "fifo", frame = parent.frame()) {
  skip_without_node()
  server <- inside$new_server(c(inside$find_node(), file, "serve"), transport)
  cleanup <- bquote(.(inside$stop_server)(.(server), 0.5))
  do.call(on.exit, list(cleanup, add = TRUE), envir = frame)
  server
}

transports <- function() {
  c(
    "fifo", "tcp",
    if (nzchar(system.file(package = "processx")) && utils::packageVersion("processx") >= "3.9.0") "processx"
  )
}

is_alive <- function(pid) tools::pskill(pid, 0L)

# Sends a signal to a process a little later, from outside of R.
signal_later <- function(pid, signal, seconds) {
  system(sprintf("(sleep %s; kill -%s %d) > /dev/null 2>&1 &", format(seconds), signal, pid))
}

# Seconds after which something is taken to hang, whatever else the machine does.
HANG <- 300

# Does something once, at the first progress of a call: it is under way then, on any machine.
at_first_progress <- function(code) {
  act <- substitute(code)
  frame <- parent.frame()
  done <- FALSE
  function(...) {
    if (!done) eval(act, frame)
    done <<- TRUE
  }
}

seconds_of <- function(code) {
  start <- inside$now()
  force(code)
  inside$now() - start
}

local_options <- function(..., frame = parent.frame()) {
  old <- options(...)
  do.call(on.exit, list(bquote(options(.(old))), add = TRUE, after = FALSE), envir = frame)
}

# --- reference numbers ---

read_json <- function(...) {
  path <- repository_file(...)
  inside$parse_json(paste(readLines(path, encoding = "UTF-8", warn = FALSE), collapse = "\n"))
}

# Arrays of the fixtures are {shape, data}, row-major.
fixture_array <- function(value) {
  shape <- unlist(value$shape)
  data <- unlist(value$data)
  if (length(shape) < 2) return(data)
  if (length(shape) == 2) return(matrix(data, shape[1], shape[2], byrow = TRUE))
  aperm(array(data, rev(shape)))
}

# Equal up to a tolerance relative to the largest entry, as everywhere in this project.
expect_close <- function(actual, wanted, tolerance = 1e-6) {
  actual <- unname(as.vector(actual))
  wanted <- unname(as.vector(wanted))
  expect_length(actual, length(wanted))
  scale <- max(abs(wanted), 1e-300)
  expect_lte(max(abs(actual - wanted)) / scale, tolerance)
}

# --- small fits ---

cached <- new.env()

fit_once <- function(name, code) {
  skip_without_node()
  skip_if_not_installed("nnet")
  if (is.null(cached[[name]])) cached[[name]] <- code
  cached[[name]]
}

scaled_cars <- cars / 50
two_species <- transform(iris[51:150, ], Species = factor(Species))

iris_net <- function() fit_once("iris net", {
  set.seed(1)
  nnet::nnet(Species ~ ., iris, size = 4, decay = 0.05, trace = FALSE)
})
cars_net <- function() fit_once("cars net", {
  set.seed(1)
  nnet::nnet(dist ~ speed, scaled_cars, size = 3, decay = 0.001, linout = TRUE, trace = FALSE)
})
binary_net <- function() fit_once("binary net", {
  set.seed(1)
  nnet::nnet(Species ~ ., two_species, size = 3, decay = 0.05, trace = FALSE)
})

# The default of the first version, which some tests are about.
last_layer <- function(...) laplace(..., subset = "last_layer", structure = "kron", tune = "linearized")
last_layer_fit <- function() fit_once("iris, last layer", last_layer(iris_net()))

iris_fit <- function() fit_once("iris", laplace(iris_net()))
cars_fit <- function() fit_once("cars", suppressMessages(laplace(cars_net(), subset = "all", structure = "full")))
cars_auto <- function() fit_once("cars, chosen", laplace(cars_net()))
binary_fit <- function() fit_once("binary", laplace(binary_net()))
