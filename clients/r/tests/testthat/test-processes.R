test_that("a process has independent outputs, and a kernel by Nystroem", {
  skip_without_node()
  set.seed(5)
  weights <- list("0.weight" = matrix(rnorm(12), 3, 4), "0.bias" = rnorm(3))
  x <- matrix(rnorm(120), 30, 4)
  y <- rep(0:2, 10)
  fit <- function(...) {
    suppressMessages(suppressWarnings(laplace(weights, x, y, "classification",
      subset = "all", architecture = list(list(type = "Linear", name = "0")), prior_precision = 0.7,
      precision = "float64", ...)))
  }
  se <- function(object) predict(object, x, type = "link", se.fit = TRUE)$se.fit
  independent <- fit(structure = "gp", independent_outputs = TRUE)
  phi <- cbind(x, 1)
  logits <- phi %*% rbind(t(weights[["0.weight"]]), weights[["0.bias"]])
  p <- exp(logits) / rowSums(exp(logits))
  wanted <- sapply(1:3, function(c) {
    P <- 0.7 * diag(5) + crossprod(phi * sqrt(p[, c] * (1 - p[, c])))
    sqrt(rowSums(phi %*% solve(P) * phi))
  })
  expect_equal(unname(as.matrix(se(independent))), wanted, tolerance = 1e-8)
  expect_equal(se(fit(structure = "gp", nystroem = TRUE, n_subset = 12)), se(fit(structure = "full")), tolerance = 1e-8)
  expect_error(fit(structure = "kron", nystroem = TRUE), "nystroem", class = "laplace_error_option")
  own <- fit(structure = "samples", samples = 400, seed = 1)
  expect_equal(mean(se(own) / se(fit(structure = "full"))), 1, tolerance = 0.1)
  expect_error(fit(structure = "kron", samples = 5), "samples", class = "laplace_error_option")
})

test_that("a covariance of noises is tuned", {
  skip_without_node()
  set.seed(6)
  weights <- list("0.weight" = matrix(rnorm(8), 2, 4), "0.bias" = rnorm(2))
  x <- matrix(rnorm(400), 100, 4)
  noise <- matrix(rnorm(200), 100, 2) %*% chol(matrix(c(0.5, 0.3, 0.3, 0.8), 2))
  y <- sweep(x %*% t(weights[["0.weight"]]), 2, weights[["0.bias"]], "+") + noise
  fit <- function(sigma) {
    suppressMessages(suppressWarnings(laplace(weights, x, y, "regression", subset = "all", structure = "full",
      architecture = list(list(type = "Linear", name = "0")), prior_precision = 1, precision = "float64",
      sigma_noise = sigma)))
  }
  la <- fit("full")
  expect_equal(unname(la$noise_covariance), crossprod(noise) / 100, tolerance = 0.15)
  best <- as.numeric(logLik(la))
  for (share in c(0.98, 1.02)) expect_lt(as.numeric(logLik(fit(share * la$noise_covariance))), best)
})
