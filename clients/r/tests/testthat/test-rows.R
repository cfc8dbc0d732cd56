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

test_that("rows are added with weights, and each is left out", {
  skip_without_node()
  set.seed(5)
  x <- matrix(rnorm(24), 12, 2)
  y <- drop(x %*% c(1, -1)) + 0.1 * rnorm(12)
  design <- cbind(x, 1)
  theta <- solve(crossprod(design) / 0.25 + 2 * diag(3), crossprod(design, y) / 0.25)
  weights <- list("0.weight" = matrix(theta[1:2], 1), "0.bias" = theta[3])
  fit <- function(rows, times = 1, structure = "full") {
    suppressWarnings(laplace(weights, x[rows, , drop = FALSE], y[rows], "regression", subset = "all",
      structure = structure, prior_precision = 2, sigma_noise = 0.5, precision = "float64"))
  }
  first <- fit(1:9)
  twice <- add_rows(first, x[10:12, ], y[10:12], weights = c(2, 0, 1))
  expect_equal(twice$nobs, 12)
  expect_equal(twice$log_marginal_likelihood, fit(c(1:10, 10, 12))$log_marginal_likelihood, tolerance = 1e-10)
  back <- forget(twice, x[10:12, ], y[10:12], weights = c(2, 0, 1))
  expect_equal(back$log_marginal_likelihood, first$log_marginal_likelihood, tolerance = 1e-10)
  expect_error(add_rows(first, x[10:12, ], y[10:12], weights = 1), "`weights`", class = "laplace_error_shape")

  at <- matrix(rnorm(6), 3, 2)
  answer <- influence(fit(1:12), x, y, at)
  for (n in c(1, 12)) {
    rest <- design[-n, ]
    other <- solve(crossprod(rest) / 0.25 + 2 * diag(3), crossprod(rest, y[-n]) / 0.25)
    expect_equal(answer$mean[n, 1], drop(design[n, ] %*% other), tolerance = 1e-8)
    expect_equal(answer$change[, 1, n], drop(cbind(at, 1) %*% (other - theta)), tolerance = 1e-6)
    expect_equal(answer$loss[n], (y[n] - answer$mean[n, 1])^2 / 2, tolerance = 1e-8)
  }
  diagonal <- fit(1:12, structure = "diag")
  left <- influence(diagonal)
  expect_equal(left$variance[4, 1], predict(forget(diagonal, x[4, , drop = FALSE], y[4]), x[4, , drop = FALSE],
    se.fit = TRUE)$se.fit[[1]]^2, tolerance = 1e-8)
  expect_null(left$change)
  expect_error(influence(diagonal, at = at, where = 1), "no argument", class = "laplace_error_option")
})
