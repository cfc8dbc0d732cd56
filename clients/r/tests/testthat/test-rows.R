test_that("rows are added and taken away again", {
  skip_without_node()
  set.seed(3)
  weights <- list(
    "0.weight" = matrix(rnorm(8), 4, 2), "0.bias" = rnorm(4), "2.weight" = matrix(rnorm(4), 1, 4), "2.bias" = rnorm(1)
  )
  layers <- list(list(type = "Linear", name = "0"), list(type = "Tanh"), list(type = "Linear", name = "2"))
  x <- matrix(rnorm(40), 20, 2)
  y <- x[, 1]
  fit <- function(rows) {
    suppressWarnings(laplace(weights, x[rows, ], y[rows], "regression", subset = "all", structure = "kron",
      architecture = layers, prior_precision = 2, sigma_noise = 1, precision = "float64"))
  }
  first <- fit(1:12)
  more <- add_rows(first, x[13:20, ], y[13:20])
  expect_equal(more$nobs, 20)
  expect_equal(more$log_marginal_likelihood, fit(1:20)$log_marginal_likelihood, tolerance = 1e-10)
  expect_equal(forget(more, x[13:20, ], y[13:20])$log_marginal_likelihood, first$log_marginal_likelihood,
    tolerance = 1e-10)
})
