# Likelihoods of numbers beside regression: counts, and noise that the network says itself.

weights <- function(outputs) {
  set.seed(3)
  list(
    "0.weight" = matrix(rnorm(8), 4, 2), "0.bias" = rnorm(4),
    "2.weight" = matrix(rnorm(4 * outputs) / 2, outputs, 4), "2.bias" = rnorm(outputs) / 10
  )
}
layers <- list(list(type = "Linear", name = "0"), list(type = "Tanh"), list(type = "Linear", name = "2"))
set.seed(5)
x <- matrix(runif(80, -2, 2), 40, 2)
counts <- rpois(40, exp(x[, 1]))

test_that("poisson: rates, standard errors and intervals of counts", {
  skip_without_node()
  la <- laplace(weights(1), x, counts, "poisson", architecture = layers, prior_precision = 3, precision = "float64")
  link <- predict(la, x, type = "link", se.fit = TRUE)
  rate <- predict(la, x, se.fit = TRUE)
  v <- as.vector(link$se.fit)^2
  expect_equal(as.vector(rate$fit), exp(as.vector(link$fit) + v / 2), tolerance = 1e-10)
  expect_equal(as.vector(rate$se.fit), as.vector(rate$fit) * sqrt(expm1(v)), tolerance = 1e-10)
  expect_equal(la$log_likelihood, sum(dpois(counts, exp(as.vector(link$fit)), log = TRUE)), tolerance = 1e-10)
  limits <- predict(la, x, type = "pred_int", level = 0.9)
  expect_true(all(limits$.pred_lower == round(limits$.pred_lower)), all(limits$.pred_upper >= limits$.pred_lower))
  quantiles <- predict(la, x, type = "quantile", quantiles = c(0.1, 0.9))
  expect_true(all(quantiles$.pred_q0.1 <= quantiles$.pred_q0.9))
  expect_true(all(simulate(la, 2, seed = 1)$sim_1 >= 0))
  expect_error(predict(la, x, type = "class"), class = "laplace_error_option")
})

test_that("heteroscedastic: the mean, with the noise that the network says", {
  skip_without_node()
  la <- suppressWarnings(laplace(weights(2), x, counts, "heteroscedastic", architecture = layers, prior_precision = 3,
    precision = "float64"))
  link <- predict(la, x, type = "link")
  expect_equal(as.vector(predict(la, x)), as.vector(link[, 1]), tolerance = 1e-12)
  expect_equal(la$log_likelihood, sum(dnorm(counts, link[, 1], exp(link[, 2] / 2), log = TRUE)), tolerance = 1e-10)
  parts <- laplace_uncertainty(la, x)
  limits <- predict(la, x, type = "pred_int", level = 0.9)
  expect_equal(limits$.pred_upper - limits$.pred, qnorm(0.95) * sqrt(parts$total), tolerance = 1e-8)
  expect_equal(length(simulate(la, 1, seed = 1)$sim_1), 40)
})

test_that("counts have scores", {
  skip_without_node()
  la <- laplace(weights(1), x, counts, "poisson", architecture = layers, prior_precision = 3, precision = "float64")
  rate <- exp(as.vector(predict(la, x, type = "link")))
  scores <- compare(la, x, counts)
  expect_equal(scores["network", "nll"], -mean(dpois(counts, rate, log = TRUE)), tolerance = 1e-9)
  share <- outer(0:400, rate, ppois)
  expect_equal(
    scores["network", "crps"], mean(colSums((share - outer(0:400, counts, ">="))^2)), tolerance = 1e-8
  )
  expect_true(all(c("deviance", "coverage_90") %in% names(scores)))
  expect_equal(laplace_metrics(la, x, counts)[["crps"]], scores["posterior", "crps"], tolerance = 1e-9)
})

test_that("outputs on other scales are scored alone", {
  skip_without_node()
  own <- weights(2)
  own[["2.weight"]] <- own[["2.weight"]] * c(1, 1000)
  own[["2.bias"]] <- own[["2.bias"]] * c(1, 1000)
  hidden <- tanh(sweep(x %*% t(own[["0.weight"]]), 2, own[["0.bias"]], "+"))
  set.seed(7)
  y <- sweep(hidden %*% t(own[["2.weight"]]), 2, own[["2.bias"]], "+") + matrix(rnorm(80), 40, 2) %*% diag(c(0.3, 300))
  la <- laplace(own, x, y, "regression", architecture = layers, precision = "float64")
  expect_named(la$training$network, c("nll", "rmse", "rmse_1", "rmse_2"))
  expect_output(print(la), "rmse_2")
  table <- compare(la, x, y)
  alone <- attr(table, "by_output")
  expect_identical(alone$of, rep(c("network", "posterior"), each = 2))
  expect_equal(alone$rmse[1:2], unname(la$training$network[c("rmse_1", "rmse_2")]), tolerance = 1e-8)
  expect_equal(alone$rmse[3:4], sqrt(colMeans((y - predict(la, x))^2)), tolerance = 1e-8, ignore_attr = TRUE)
  expect_output(print(table), "Each output alone")
})
