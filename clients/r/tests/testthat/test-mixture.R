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
  share <- (stats::pnorm(quantiles$.pred_q0.1, a$fit, sqrt(a$se.fit^2 + 0.25)) +
    3 * stats::pnorm(quantiles$.pred_q0.1, b$fit, sqrt(b$se.fit^2 + 1))) / 4
  expect_equal(unname(share), rep(0.1, 20), tolerance = 1e-8)
  expect_named(predict(both, x, type = "pred_int", level = 0.9), c(".pred", ".pred_lower", ".pred_upper"))
  draws <- predict(both, x, type = "samples", n_samples = 4000, seed = 3)
  limits <- predict(both, x, type = "conf_int", level = 0.8)
  inside <- draws > limits$.pred_lower & draws < limits$.pred_upper
  expect_lt(max(abs(rowMeans(inside) - 0.8)), 0.04)

  y <- factor(ifelse(x[, 1] > 0, "up", "down"))
  votes <- list(fit("binary", y), fit("binary", y))
  p <- (predict(votes[[1]], x, type = "prob") + predict(votes[[2]], x, type = "prob")) / 2
  expect_equal(predict(mixture(votes), x, type = "prob"), p)
  expect_equal(as.character(predict(mixture(votes), x, type = "class")), colnames(p)[max.col(p)])
  expect_error(mixture(one, votes[[1]]), "one likelihood", class = "laplace_error_option")
  expect_error(mixture(one, weights = c(1, 2)), "weights", class = "laplace_error_option")
  expect_error(mixture(), "at least one", class = "laplace_error_option")

  # Counts, and means with log variances.
  counts <- mixture(fit("poisson", round(abs(3 * x[, 1]))), fit("poisson", round(abs(3 * x[, 1]))))
  q <- predict(counts, x, type = "quantile", quantiles = c(0.1, 0.9))
  expect_true(all(q == round(q)) && all(q[, 1] <= q[, 2]))
  rates <- predict(counts, x, type = "samples", n_samples = 4000, seed = 3)
  limits <- predict(counts, x, type = "conf_int", level = 0.8)
  expect_lt(max(abs(rowMeans(rates > limits$.pred_lower & rates < limits$.pred_upper) - 0.8)), 0.05)

  # Calibrated by rows held out, compared, and on another server.
  both <- mixture(votes, weights = c(1, 2))
  expect_error(predict(both, x, type = "set"), "conformalize", class = "laplace_error_state")
  expect_error(conformalize(both), "have not seen", class = "laplace_error_option")
  held <- matrix(rnorm(80), 40, 2)
  truth <- factor(ifelse(held[, 1] > 0, "up", "down"))
  calibrated <- conformalize(both, held, truth, score = "lac")
  expect_equal(calibrated$conformal$kind, "split")
  sets <- predict(calibrated, held, type = "set", level = 0.8)
  expect_gte(mean(sets[cbind(1:40, match(truth, colnames(sets)))]), 0.8)
  scores <- compare(both, held, truth)
  p <- predict(both, held, type = "prob")[cbind(1:40, as.integer(truth))]
  expect_equal(scores["posterior", "nll"], -mean(log(p)), tolerance = 1e-8)
  expect_equal(dim(laplace_uncertainty(both, held)), c(40L, 3L))
  two <- votes
  two[[2]]$x <- two[[2]]$x + 1
  expect_error(laplace_uncertainty(mixture(two)), "newdata", class = "laplace_error_option")
  close(laplace_server())
  expect_equal(predict(calibrated, held, type = "set", level = 0.8), sets)
  expect_error(mixture(votes[[1]], fit("binary", factor(y, levels = c("up", "down")))), "same order",
    class = "laplace_error_option")
})
