test_that("posteriors predict as one", {
  skip_without_node()
  set.seed(4)
  weights <- function() {
    list(
      "0.weight" = matrix(rnorm(8), 4, 2), "0.bias" = rnorm(4), "2.weight" = matrix(rnorm(4), 1, 4), "2.bias" = rnorm(1)
    )
  }
  layers <- list(list(type = "Linear", name = "0"), list(type = "Tanh"), list(type = "Linear", name = "2"))
  x <- matrix(rnorm(40), 20, 2)
  fit <- function(likelihood, y, sigma = NULL) {
    suppressMessages(suppressWarnings(laplace(weights(), x, y, likelihood, subset = "all", structure = "full",
      architecture = layers, prior_precision = 2, sigma_noise = sigma, precision = "float64")))
  }
  one <- fit("regression", x[, 1], 0.5)
  two <- fit("regression", x[, 1], 1)
  both <- mixture(one, two, weights = c(1, 3))
  a <- predict(one, x, se.fit = TRUE)
  b <- predict(two, x, se.fit = TRUE)
  answer <- predict(both, x, se.fit = TRUE)
  expect_equal(answer$fit, (a$fit + 3 * b$fit) / 4)
  second <- (a$se.fit^2 + a$fit^2 + 3 * (b$se.fit^2 + b$fit^2)) / 4
  expect_equal(answer$se.fit, sqrt(second - answer$fit^2), tolerance = 1e-8)
  expect_equal(answer$residual.scale, sqrt((0.25 + 3) / 4))
  expect_output(print(both), "2 posteriors")

  quantiles <- predict(both, x, type = "quantile", quantiles = c(0.1, 0.5))
  share <- (stats::pnorm(quantiles[, 1], a$fit, sqrt(a$se.fit^2 + 0.25)) +
    3 * stats::pnorm(quantiles[, 1], b$fit, sqrt(b$se.fit^2 + 1))) / 4
  expect_equal(unname(share), rep(0.1, 20), tolerance = 1e-8)
  expect_equal(dim(predict(both, x, type = "pred_int", level = 0.9)), c(20L, 2L))
  draws <- predict(both, x, type = "samples", n_samples = 4000, seed = 3)
  inside <- draws > predict(both, x, type = "conf_int", level = 0.8)[, 1] &
    draws < predict(both, x, type = "conf_int", level = 0.8)[, 2]
  expect_lt(max(abs(rowMeans(inside) - 0.8)), 0.04)

  y <- factor(ifelse(x[, 1] > 0, "up", "down"))
  votes <- list(fit("binary", y), fit("binary", y))
  p <- (predict(votes[[1]], x, type = "prob") + predict(votes[[2]], x, type = "prob")) / 2
  expect_equal(predict(mixture(votes), x, type = "prob"), p)
  expect_equal(as.character(predict(mixture(votes), x, type = "class")), colnames(p)[max.col(p)])
  expect_error(mixture(one, votes[[1]]), "one likelihood", class = "laplace_error_option")
  expect_error(mixture(one, weights = c(1, 2)), "weights", class = "laplace_error_option")
  expect_error(mixture(), "at least one", class = "laplace_error_option")
})
