test_that("classes: levels, names and shapes", {
  la <- iris_fit()
  new <- iris[c(1, 51, 101), ]
  prob <- predict(la, new, type = "prob")
  expect_identical(dimnames(prob), list(c("1", "51", "101"), levels(iris$Species)))
  expect_equal(rowSums(prob), c(`1` = 1, `51` = 1, `101` = 1))
  expect_identical(predict(la, new), prob)
  expect_identical(predict(la, new, type = "class"), new$Species)
  expect_identical(dim(predict(la, new, type = "link")), c(3L, 3L))
  interval <- predict(la, new, type = "conf_int", seed = 1)
  limits <- c(".pred", ".pred_lower", ".pred_upper")
  expect_identical(rownames(interval), c("1", "51", "101"))
  expect_named(interval, paste0(limits, "_", rep(levels(iris$Species), each = 3)))
  for (level in levels(iris$Species)) {
    one <- interval[paste0(limits, "_", level)]
    expect_true(all(one[[2]] <= one[[1]] & one[[1]] <= one[[3]]))
  }
  expect_named(
    predict(la, new, type = "quantile", quantiles = c(0.1, 0.9), seed = 1),
    paste0(c(".pred_q0.1", ".pred_q0.9"), "_", rep(levels(iris$Species), each = 2))
  )
  expect_identical(dim(predict(la, new, type = "samples", n_samples = 7)), c(3L, 3L, 7L))
  with_errors <- predict(la, new, type = "prob", se.fit = TRUE)
  expect_identical(with_errors$fit, prob)
  expect_identical(dimnames(with_errors$se.fit), dimnames(prob))
})

test_that("the delta method's standard errors are those of many draws", {
  la <- laplace(iris_net(), prior_precision = 100)
  errors <- predict(la, iris[51:60, ], type = "prob", se.fit = TRUE)$se.fit
  draws <- predict(la, iris[51:60, ], type = "samples", n_samples = 4000, seed = 1)
  expect_equal(unname(errors), unname(apply(draws, c(1, 2), sd)), tolerance = 0.15)
})

test_that("binary: one probability, two columns, factors", {
  la <- binary_fit()
  new <- two_species[c(1, 100), ]
  p <- predict(la, new)
  expect_length(p, 2)
  prob <- predict(la, new, type = "prob")
  expect_identical(colnames(prob), levels(two_species$Species))
  expect_equal(prob[, 2], p)
  expect_identical(predict(la, new, type = "class"), new$Species)
  expect_equal(predict(la, new, type = "prob", se.fit = TRUE)$se.fit[, 1], predict(la, new, se.fit = TRUE)$se.fit)
  la <- last_layer(binary_net())
  interval <- predict(la, new, type = "conf_int", level = 0.9)
  link <- predict(la, new, type = "link", se.fit = TRUE)
  expect_equal(interval$.pred_upper, unname(plogis(link$fit + qnorm(0.95) * link$se.fit)))
  expect_equal(interval$.pred, unname(plogis(link$fit)))
})

test_that("binary with logical and with 0/1 responses", {
  x <- as.matrix(two_species[1:4])
  logical <- laplace(binary_net(), x, two_species$Species == "virginica", likelihood = "binary")
  numbers <- laplace(binary_net(), x, as.integer(two_species$Species == "virginica"))
  expect_equal(numbers$log_marginal_likelihood, binary_fit()$log_marginal_likelihood)
  expect_equal(logical$log_marginal_likelihood, binary_fit()$log_marginal_likelihood)
})

test_that("regression: means, errors and intervals", {
  la <- cars_fit()
  new <- data.frame(speed = c(0.1, 0.3, 0.9))
  values <- predict(la, new, se.fit = TRUE)
  expect_named(values, c("fit", "se.fit", "residual.scale"))
  expect_identical(names(values$fit), c("1", "2", "3"))
  expect_close(values$fit, predict(cars_net(), new), 1e-9)
  z <- qnorm(0.95)
  confidence <- predict(la, new, type = "conf_int", level = 0.9)
  expect_equal(confidence$.pred_lower, unname(values$fit - z * values$se.fit))
  expect_identical(attr(confidence, "interval"), "credible")
  prediction <- predict(la, new, type = "pred_int", level = 0.9)
  expect_equal(prediction$.pred_upper, unname(values$fit + z * sqrt(values$se.fit^2 + values$residual.scale^2)))
  expect_identical(attr(prediction, "interval"), "gaussian")
  quantiles <- predict(la, new, type = "quantile", quantiles = c(0.05, 0.5, 0.95))
  expect_named(quantiles, c(".pred_q0.05", ".pred_q0.5", ".pred_q0.95"))
  expect_equal(unname(as.matrix(quantiles)), unname(as.matrix(prediction[c(".pred_lower", ".pred", ".pred_upper")])))
  draws <- predict(la, new, type = "samples", n_samples = 4000, seed = 3)
  expect_equal(unname(apply(draws, 1, sd)), unname(values$se.fit), tolerance = 0.1)
})

test_that("missing values in new data", {
  la <- cars_fit()
  new <- data.frame(speed = c(0.1, NA, 0.9))
  expect_identical(is.na(predict(la, new)), c(`1` = FALSE, `2` = TRUE, `3` = FALSE))
  expect_identical(dim(predict(la, new, type = "pred_int")), c(3L, 3L))
  expect_identical(names(predict(la, new, na.action = na.omit)), c("1", "3"))
  expect_error(predict(la, new, na.action = na.fail), "missing values")
  expect_error(predict(la, new[2, , drop = FALSE]), "no row", class = "laplace_error_data")
  classes <- predict(iris_fit(), replace(iris[1:3, ], cbind(2, 1), NA), type = "class")
  expect_identical(classes, factor(c("setosa", NA, "setosa"), levels = levels(iris$Species)))
})

test_that("columns of other kinds and factors of other levels are refused", {
  skip_if_not_installed("nnet")
  cars <- transform(mtcars, cyl = factor(cyl), mpg = mpg / 10)
  net <- nnet::nnet(mpg ~ wt + cyl, cars, size = 2, linout = TRUE, trace = FALSE, decay = 0.1)
  la <- laplace(net, prior_precision = 1)
  new <- cars[1:2, ]
  expect_identical(predict(la, transform(new, cyl = as.character(cyl))), predict(la, new))
  refused <- function(cyl, words) {
    changed <- replace(new, "cyl", list(cyl))
    expect_no_warning(expect_error(predict(la, changed), words, class = "laplace_error_data"))
  }
  refused(factor(c("4", "5")), "`newdata` does not fit the formula: factor cyl has new level.*levels that they had")
  refused(c(6, 6), "fitted with type \"factor\" but type \"numeric\"")
  expect_error(
    laplace(net, prior_precision = 1, validation = transform(cars, cyl = "5")), "`validation` does not fit the formula",
    class = "laplace_error_data"
  )
})

test_that("columns are found by name", {
  la <- laplace(iris_net(), iris[1:4], iris$Species)
  expect_identical(predict(la, iris[1:5, c(5, 4, 2, 3, 1)][-1]), predict(la, iris[1:5, 1:4]))
  expect_error(predict(la, iris[1:5, 1:3]), "lacks the column \"Petal.Width\"", class = "laplace_error_shape")
  expect_error(
    predict(iris_fit(), iris[1:5, 1:2]), "lacks the columns \"Petal.Length\", \"Petal.Width\"",
    class = "laplace_error_shape"
  )
  expect_equal(unname(predict(la, unname(as.matrix(iris[1:5, 1:4])))), unname(predict(la, iris[1:5, 1:4])))
})

test_that("links and drawn weights", {
  la <- last_layer_fit()
  probit <- predict(la, iris[50:55, ])
  expect_identical(predict(la, iris[50:55, ], link = "probit"), probit)
  links <- c("mc", "bridge", "bridge_norm", "mean_field_1", "mean_field_2", "zero_sum", "pairwise", "map")
  for (link in links) {
    expect_identical(dim(predict(la, iris[50:55, ], link = link, seed = 1)), dim(probit), info = link)
  }
  expect_close(predict(la, iris[50:55, ], link = "map"), predict(iris_net(), iris[50:55, ]), 1e-6)
  expect_identical(dim(predict(la, iris[50:55, ], predictive = "nn", n_samples = 20, seed = 1)), dim(probit))
  expect_error(predict(la, iris, link = "probitt"), "'probit'", class = "laplace_error_option")
})

test_that("wrong types and arguments", {
  expect_error(predict(iris_fit(), iris, type = "probs"), "Did you mean \"prob\"", class = "laplace_error_option")
  expect_error(predict(cars_fit(), type = "class"), "regression", class = "laplace_error_option")
  expect_error(predict(iris_fit(), type = "pred_int"), "conf_int", class = "laplace_error_option")
  expect_error(predict(iris_fit(), iris, levl = 0.9), "`level`", class = "laplace_error_option")
  expect_error(predict(cars_fit(), type = "conf_int", level = 95), "between 0 and 1", class = "laplace_error_option")
  expect_error(predict(cars_fit(), type = "quantile", quantiles = 2), "between 0 and 1", class = "laplace_error_option")
  expect_error(predict(cars_fit(), type = "samples", seed = -1), "seed", class = "laplace_error_option")
})

test_that("uncertainty has two parts", {
  parts <- laplace_uncertainty(cars_fit(), data.frame(speed = c(0.3, NA, 2)))
  expect_named(parts, c("aleatoric", "epistemic", "total"))
  expect_equal(parts$aleatoric[1], cars_fit()$sigma_noise^2)
  expect_gt(parts$epistemic[3], parts$epistemic[1])
  expect_true(is.na(parts$total[2]))
  entropies <- laplace_uncertainty(iris_fit(), seed = 1)
  expect_identical(nrow(entropies), 150L)
  expect_identical(laplace_uncertainty(iris_fit(), seed = 1), entropies)
  expect_true(all(entropies$total <= log(3) + 1e-9))
})

test_that("a small prediction takes little of R's own time", {
  la <- cars_fit()
  new <- data.frame(speed = 0.3)
  predict(la, new)
  # Time of the processor, because a busy machine must not fail the test; looking for the answer is part of it.
  spent <- system.time(for (index in 1:100) predict(la, new))
  expect_lt((spent[["user.self"]] + spent[["sys.self"]]) / 100, 0.015)
})
