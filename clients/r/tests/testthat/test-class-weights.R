# Weights of classes and label smoothing.

set.seed(7)
features <- matrix(rnorm(80), 40, 2)
kind <- factor(sample(c("b", "a", "c"), 40, TRUE, c(0.6, 0.3, 0.1)), levels = c("b", "a", "c"))
network <- list(
  "0.weight" = matrix(rnorm(8), 4, 2), "0.bias" = rnorm(4), "2.weight" = matrix(rnorm(12), 3, 4), "2.bias" = rnorm(3)
)
layers <- list(list(type = "Linear", name = "0"), list(type = "Tanh"), list(type = "Linear", name = "2"))
fitted <- function(...) {
  suppressMessages(suppressWarnings(laplace(
    network, features, kind, "classification", subset = "all", structure = "full", prior_precision = 2,
    architecture = layers, precision = "float64", ...
  )))
}

test_that("weights of classes are weights of their rows", {
  skip_without_node()
  own <- fitted(class_weight = c(a = 2, b = 0.5, c = 3))
  rows <- fitted(weights = c(b = 0.5, a = 2, c = 3)[as.character(kind)])
  expect_equal(own$log_marginal_likelihood, rows$log_marginal_likelihood, tolerance = 1e-12)
  expect_equal(fitted(class_weight = c(0.5, 2, 3))$log_marginal_likelihood, own$log_marginal_likelihood)
  balanced <- fitted(class_weight = "balanced")
  expect_equal(
    balanced$log_marginal_likelihood,
    fitted(class_weight = 40 / (3 * as.vector(table(kind))))$log_marginal_likelihood, tolerance = 1e-12
  )
  expect_error(fitted(class_weight = c(a = 1, d = 2)), class = "laplace_error_option")
})

test_that("label smoothing is the cross entropy of smoothed labels", {
  skip_without_node()
  la <- fitted(label_smoothing = 0.1)
  logits <- as.matrix(as.data.frame(predict(la, features, type = "link")))
  log_p <- logits - log(rowSums(exp(logits)))
  soft <- 0.9 * outer(as.integer(kind), 1:3, "==") + 0.1 / 3
  expect_equal(la$log_likelihood, sum(soft * log_p), tolerance = 1e-10)
})

test_that("a matrix as noise is the covariance of correlated noises", {
  skip_without_node()
  sigma <- matrix(c(0.5, 0.3, 0.2, 0.3, 0.8, 0.1, 0.2, 0.1, 0.6), 3)
  y <- matrix(rnorm(120), 40, 3)
  la <- suppressWarnings(laplace(
    network, features, y, "regression", subset = "all", structure = "kron", prior_precision = 2, sigma_noise = sigma,
    architecture = layers, precision = "float64"
  ))
  error <- y - predict(la, features)
  expected <- -sum((error %*% solve(sigma)) * error) / 2 - 20 * log(det(2 * pi * sigma))
  expect_equal(la$log_likelihood, expected, tolerance = 1e-10)
  expect_equal(la$noise_covariance, sigma, tolerance = 1e-12)
  expect_equal(as.vector(la$sigma_noise), sqrt(diag(sigma)), tolerance = 1e-12)
})

test_that("rewards are learnt from pairs and predicted of rows", {
  skip_without_node()
  pairs <- array(rnorm(80), c(20, 2, 2))
  preferred <- as.double(pairs[, 2, 1] > pairs[, 1, 1])
  rewards <- modifyList(network, list("2.weight" = network[["2.weight"]][1, , drop = FALSE], "2.bias" = 0.5))
  la <- suppressWarnings(laplace(
    rewards, pairs, preferred, "reward_modeling", subset = "all", structure = "full", prior_precision = 2,
    architecture = layers, precision = "float64"
  ))
  logit <- as.vector(predict(la, pairs[, 2, ])) - as.vector(predict(la, pairs[, 1, ]))
  expect_equal(la$log_likelihood, sum(dbinom(preferred, 1, plogis(logit), log = TRUE)), tolerance = 1e-9)
})
