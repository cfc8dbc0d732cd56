# Which tensors are parameters, which layer is the last one, and the files beside a model.

data_of <- function(seed = 1) {
  set.seed(seed)
  list(x = matrix(stats::rnorm(120), 40), y = stats::rnorm(40))
}

weights <- function() {
  set.seed(3)
  list(
    "a.weight" = matrix(stats::rnorm(12), 4), "a.bias" = stats::rnorm(4),
    "b.weight" = matrix(stats::rnorm(4), 1), "b.bias" = 0
  )
}
layers <- list(list(type = "Linear", name = "a"), list(type = "Tanh"), list(type = "Linear", name = "b"))

test_that("parameters and freeze take names, globs and numbers", {
  skip_without_node()
  data <- data_of()
  fitted <- function(...) {
    suppressMessages(suppressWarnings(laplace(
      weights(), data$x, data$y, likelihood = "regression", architecture = layers, structure = "diag", ...
    )))
  }
  expect_equal(nrow(vcov(fitted(subset = "all", freeze = "a.*"))), 5)
  expect_equal(nrow(vcov(fitted(subset = "all", freeze = list(1, "b.bias")))), 8)
  expect_equal(nrow(vcov(fitted(subset = "all", parameters = "*.weight"))), 16)
  expect_equal(nrow(vcov(fitted(subset = "last_layer", last_layer_name = "a"))), 16)
  expect_error(fitted(subset = "all", freeze = "*"), "leaves no parameter", class = "laplace_error_option")
  expect_error(fitted(subset = "all", freeze = 1.5), "whole numbers from 1", class = "laplace_error_option")
})

test_that("blocks are those of a full posterior", {
  skip_without_node()
  data <- data_of()
  fitted <- function(...) {
    suppressMessages(suppressWarnings(laplace(weights(), data$x, data$y, likelihood = "regression", subset = "all",
      architecture = layers, prior_precision = 2, sigma_noise = 1, precision = "float64", ...)))
  }
  whole <- solve(vcov(fitted(structure = "full")))
  for (blocks in c("layer", "tensor")) {
    owner <- if (blocks == "layer") rep(1:2, c(16, 5)) else rep(1:4, c(12, 4, 4, 1))
    own <- ifelse(outer(owner, owner, "=="), whole, 0)
    covariance <- vcov(fitted(structure = "blockdiag", blocks = blocks))
    expect_equal(unname(covariance), unname(solve(own)), tolerance = 1e-8)
  }
  expect_error(fitted(structure = "kron", blocks = "layer"), "blockdiag", class = "laplace_error_option")
})

test_that("a path is enough for a model in two files", {
  skip_without_node()
  source <- repository_file("test", "fixtures", "onnx", "external")
  skip_if_not(dir.exists(source), "no fixture")
  folder <- tempfile("model")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  file.copy(list.files(source, full.names = TRUE), folder)
  model <- file.path(folder, "model.onnx")
  set.seed(1)
  x <- matrix(stats::rnorm(24), 8)
  la <- suppressMessages(suppressWarnings(laplace(model, x, rep(0:1, 4), likelihood = "classification")))
  expect_equal(dim(predict(la, x, type = "prob")), c(8, 2))
  bytes <- readBin(model, "raw", file.size(model))
  again <- suppressMessages(suppressWarnings(
    laplace(bytes, x, rep(0:1, 4), likelihood = "classification", external_data = folder)
  ))
  expect_equal(predict(again, x, type = "prob"), predict(la, x, type = "prob"))
  unlink(file.path(folder, "model.onnx.data"))
  expect_error(
    laplace(model, x, rep(0:1, 4), likelihood = "classification"), "not in the folder",
    class = "laplace_error_untrusted_input"
  )
  skip_on_os("windows")
  file.symlink(file.path(source, "model.onnx.data"), file.path(folder, "model.onnx.data"))
  expect_error(
    laplace(model, x, rep(0:1, 4), likelihood = "classification"), "symbolic link",
    class = "laplace_error_untrusted_input"
  )
})

test_that("one of two heads is named, and a file's parameters are chosen", {
  skip_without_node()
  file <- repository_file("test", "fixtures", "inputs", "two-heads.onnx")
  set.seed(1)
  x <- matrix(rnorm(60), 20)
  fitted <- function(...) {
    suppressWarnings(suppressMessages(laplace(
      file, x, rep(0:2, length.out = 20),
      likelihood = "classification", structure = "full", prior_precision = 1, ...
    )))
  }
  expect_error(fitted(), "kind, size.*option output|output", class = "laplace_error")
  names_of <- function(la) la$parameters$name
  expect_equal(names_of(fitted(output = "kind", subset = "last_layer")), c("kind.weight", "kind.bias"))
  body <- c("body.weight", "body.bias")
  expect_equal(names_of(fitted(output = "kind", subset = "last_layer", last_layer_name = "body")), body)
  expect_equal(names_of(fitted(output = "kind", subset = "all", parameters = "body.*")), body)
  expect_false(any(body %in% names_of(fitted(output = "kind", subset = "all", freeze = body))))
  size <- suppressWarnings(suppressMessages(laplace(
    file, x, rnorm(20), likelihood = "regression", output = "size", subset = "last_layer", structure = "full"
  )))
  expect_equal(names_of(size), c("size.weight", "size.bias"))
})
