# Exported posteriors: files of standard ONNX, and what is beside them. Their numbers are compared in Node and Python.

iris_fit <- function() fit_once("onnx", {
  set.seed(1)
  network <- nnet::nnet(Species ~ ., iris, size = 3, decay = 1e-3, trace = FALSE)
  laplace(network)
})

#' The readable text in a file of bytes.
text_of <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  rawToChar(bytes[bytes >= as.raw(32) & bytes < as.raw(127)])
}

test_that("a posterior is written as a model that names its outputs and its classes", {
  path <- tempfile(fileext = ".onnx")
  expect_identical(to_onnx(iris_fit(), path, outputs = c("probabilities", "novelty")), path)
  text <- text_of(path)
  for (word in c("probabilities", "novelty", "polylaplace.likelihood", "setosa")) expect_match(text, word, fixed = TRUE)
  expect_no_match(text, "covariance")
})

test_that("a model card and a folder for MLflow are written beside it", {
  folder <- tempfile()
  dir.create(folder)
  to_onnx(iris_fit(), file.path(folder, "iris.onnx"), card = TRUE, mlflow = TRUE, x = iris)
  expect_setequal(list.files(folder), c("iris.onnx", "iris.md", "iris.calibration.svg", "iris.mlflow"))
  card <- readLines(file.path(folder, "iris.md"))
  expect_true(any(grepl("temperature scaling", card)))
  expect_true(file.exists(file.path(folder, "iris.mlflow", "MLmodel")))
})

test_that("what a posterior does not have is refused, with what to do", {
  la <- iris_fit()
  path <- tempfile()
  expect_error(to_onnx(la, path, outputs = "sets"), "conformalize")
  expect_error(to_onnx(la, path, opset = 9), "13 to 24")
  expect_error(to_onnx(la, path, x = iris), "card")
  expect_error(to_onnx(la), "path")
  expect_false(file.exists(path))
})
