# Networks of several inputs, and columns by name.

fixture <- function() {
  values <- read_json("test", "fixtures", "inputs", "two-inputs.json")
  matrix_of <- function(rows) do.call(rbind, lapply(rows, unlist))
  list(
    model = repository_file("test", "fixtures", "inputs", "two-inputs.onnx"), body = matrix_of(values$body),
    city = unlist(values$city), y = unlist(values$y), mean = matrix_of(values$mean),
    variance = matrix_of(values$variance)
  )
}

fit_two <- function(two, x) {
  suppressWarnings(suppressMessages(laplace(
    two$model, x, two$y,
    likelihood = "classification", subset = "last_layer", structure = "full", prior_precision = 1
  )))
}

test_that("a named list gives an array to each input", {
  skip_without_node()
  two <- fixture()
  la <- fit_two(two, list(city = two$city, body = two$body))
  link <- predict(la, list(body = two$body, city = two$city), type = "link", se.fit = TRUE)
  expect_equal(unname(link$fit), two$mean, tolerance = 1e-9)
  expect_equal(unname(link$se.fit)^2, two$variance, tolerance = 1e-7)
  expect_equal(dim(predict(la, type = "prob")), c(30, 3))
  expect_error(predict(la, list(body = two$body)), class = "laplace_error_data", "'city' is missing")
  expect_error(predict(la, list(body = two$body, city = 1:3)), class = "laplace_error_shape", "same number of rows")
  expect_error(predict(la, list(body = two$body, city = two$city + 1)), class = "laplace_error_data", "from 0 to 4")
})

test_that("a data frame gives its columns to the inputs by name", {
  skip_without_node()
  two <- fixture()
  frame <- data.frame(body = two$body, city = two$city)
  expect_equal(names(frame), c("body.1", "body.2", "body.3", "city"))
  la <- fit_two(two, frame)
  link <- predict(la, frame[c(4, 3, 1, 2)], type = "link")
  expect_equal(unname(as.matrix(link)), two$mean, tolerance = 1e-9)
})

test_that("columns of an nnet fit by formula are matched by name or refused", {
  skip_without_node()
  skip_if_not_installed("nnet")
  set.seed(1)
  train <- data.frame(cars / 50, extra = rnorm(50))
  fit <- nnet::nnet(dist ~ speed + extra, train, size = 2, linout = TRUE, trace = FALSE)
  x <- cbind(extra = rnorm(50), speed = cars$speed / 50)
  la <- suppressWarnings(suppressMessages(laplace(fit, x, cars$dist / 50)))
  swapped <- x[, c("speed", "extra")]
  expect_identical(predict(la, x), predict(la, swapped))
  colnames(x) <- c("b", "a")
  expect_error(laplace(fit, x, cars$dist / 50), class = "laplace_error_data", "not those that the network")
})

test_that("a pipeline of a data frame takes its columns by name, in any order", {
  skip_without_node()
  values <- read_json("test", "fixtures", "onnx", "columns.json")
  frame <- as.data.frame(lapply(values$columns, unlist))
  la <- suppressWarnings(suppressMessages(laplace(
    repository_file("test", "fixtures", "onnx", "sklearn-columns.onnx"), frame[c("kind", "age", "income")],
    unlist(values$y),
    likelihood = "classification", subset = "all", structure = "diag", prior_precision = 1e12
  )))
  expected <- do.call(rbind, lapply(values$probabilities, unlist))
  expect_equal(unname(predict(la, frame[c("income", "kind", "age")], type = "prob")), expected, tolerance = 1e-6)
  expect_error(predict(la, frame[c("kind", "age")]), class = "laplace_error_shape", "lacks the column .income")
  names(frame)[1] <- "years"
  expect_error(predict(la, frame), class = "laplace_error_shape", "lacks the column .age")
})

test_that("the outputs of an nnet fit with an empty level have the names of the others", {
  skip_without_node()
  skip_if_not_installed("nnet")
  set.seed(2)
  two <- iris[iris$Species != "setosa", ]
  fit <- suppressWarnings(nnet::nnet(Species ~ ., two, size = 2, trace = FALSE))
  la <- suppressWarnings(suppressMessages(laplace(
    fit, two[1:4], two$Species,
    subset = "all", structure = "diag", prior_precision = 1e12
  )))
  p <- predict(la, two[1:4], type = "prob")
  expect_equal(colnames(p), c("versicolor", "virginica"))
  expect_equal(unname(p), unname(predict(fit, two, type = "raw")), tolerance = 1e-6)
})

test_that("a list of several networks asks which", {
  skip_without_node()
  set.seed(3)
  network <- function() list("w.weight" = matrix(stats::rnorm(6), 2), "w.bias" = stats::rnorm(2))
  networks <- list(first = network(), second = network())
  x <- matrix(stats::rnorm(60), 20)
  layers <- list(list(type = "Linear", name = "w"))
  fitted <- function(object, ...) suppressWarnings(suppressMessages(laplace(
    object, x, rep(0:1, 10), likelihood = "classification", architecture = layers, ...
  )))
  error <- expect_error(fitted(networks), '"first", "second".*model_name')
  expect_identical(error$code, "AMBIGUOUS_NETWORK")
  expect_error(fitted(networks, model_name = "third"), "model_name")
  named <- predict(fitted(networks, model_name = "second"), x, type = "prob")
  expect_equal(named, predict(fitted(networks$second), x, type = "prob"))
})

test_that("data for an input that nothing reads are passed over, by a saved posterior too", {
  skip_without_node()
  set.seed(1)
  x <- matrix(rnorm(24), 12)
  given <- list(unread = rnorm(12), x = x)
  la <- suppressWarnings(suppressMessages(laplace(
    repository_file("test", "fixtures", "inputs", "unread-input.onnx"), given, rep(0:2, 4),
    likelihood = "classification", subset = "last_layer", structure = "full", prior_precision = 1
  )))
  file <- tempfile(fileext = ".laplace")
  save_laplace(la, file)
  again <- load_laplace(file)
  expected <- unname(predict(la, x, type = "prob"))
  expect_identical(unname(predict(la, given, type = "prob")), expected)
  expect_identical(unname(predict(again, given, type = "prob")), expected)
  expect_identical(unname(predict(again, list(x = x), type = "prob")), expected)
  expect_error(predict(again, list(x = x, unred = x)), "did you mean 'unread'", class = "laplace_error_data")
})

# A fit as package neuralnet makes it; Debian has no such package.
neuralnet_fit <- function(linear = TRUE) {
  set.seed(4)
  x <- cbind(a = stats::rnorm(40), b = stats::rnorm(40))
  matrices <- list(matrix(stats::rnorm(9), 3), matrix(stats::rnorm(4), 4))
  hidden <- stats::plogis(cbind(1, x) %*% matrices[[1]])
  f <- as.vector(cbind(1, hidden) %*% matrices[[2]])
  mean <- if (linear) f else stats::plogis(f)
  y <- if (linear) mean + 0.1 * stats::rnorm(40) else as.numeric(stats::runif(40) < mean)
  object <- structure(list(
    weights = list(matrices), covariate = x, response = cbind(y = y), linear.output = linear,
    act.fct = structure(function(x) x, type = "logistic"),
    err.fct = structure(function(x, y) x, type = if (linear) "sse" else "ce")
  ), class = "nn")
  class(object) <- "neuralnet"
  list(object = object, x = x, hidden = hidden, mean = mean)
}

test_that("fits of neuralnet are networks with the data that they keep", {
  skip_without_node()
  made <- neuralnet_fit()
  la <- suppressWarnings(laplace(
    made$object, subset = "last_layer", structure = "full", prior_precision = 1, sigma_noise = 1, precision = "float64"
  ))
  shown <- predict(la, made$x, se.fit = TRUE)
  expect_equal(as.vector(shown$fit), made$mean, tolerance = 1e-6)
  phi <- cbind(made$hidden, 1)
  wanted <- rowSums((phi %*% solve(crossprod(phi) + diag(4))) * phi)
  expect_equal(as.vector(shown$se.fit)^2, wanted, tolerance = 1e-6)
  made <- neuralnet_fit(FALSE)
  la <- suppressMessages(suppressWarnings(
    laplace(made$object, subset = "all", structure = "diag", prior_precision = 1e12)
  ))
  expect_equal(la$likelihood, "binary")
  expect_equal(as.vector(as.matrix(predict(la, made$x, type = "prob"))[, 2]), made$mean, tolerance = 1e-6)
})

test_that("objects that are no networks say the way in R", {
  advice <- function(class) {
    expect_error(laplace(structure(list(), class = class), 1, 1), class = "laplace_error_data")
    tryCatch(laplace(structure(list(), class = class), 1, 1), error = conditionMessage)
  }
  expect_match(advice("train"), "caret_laplace()", fixed = TRUE)
  expect_match(advice(c("keras.src.models.sequential.Sequential", "python.builtin.object")), "save_model")
  expect_match(advice(c("net", "nn_module")), "safe_save_file")
  expect_match(advice(c("_nnet", "model_fit")), "extract_fit_engine")
  expect_match(advice("lm"), "nnet or neuralnet object")
})

test_that("51 weights that are no numbers are refused by name", {
  skip_without_node()
  x <- scale(as.matrix(iris[1:4]))
  for (bad in c(NaN, Inf, -Inf, NA)) {
    network <- iris_net()
    network$wts[4] <- bad
    expect_error(laplace(network), "wts.*element 3", class = "laplace_error")
    weights <- list("0.weight" = matrix(0.1, 3, 4), "0.bias" = c(0, bad, 0))
    expect_error(
      laplace(weights, x, iris$Species, likelihood = "classification"), "0.bias.*element 1", class = "laplace_error"
    )
  }
})
