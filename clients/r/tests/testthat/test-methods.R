test_that("printing says what matters", {
  expect_output(
    print(last_layer_fit()),
    paste0(
      "classification, last layer, structure kron.*15 parameters, 150 examples.*Parameters: output.weight .3x4., ",
      "output.bias .3..*Log marginal likelihood.*tuned: ",
      "linearized.*Levels: setosa"
    )
  )
  expect_output(print(cars_fit()), "Noise")
  expect_output(print(summary(iris_fit())), "hidden.weight +4x4 +16")
  expect_output(print(summary(last_layer_fit())), "Weights:\\n +parameter.*\\n +output.weight +3x4 +12")
  expect_output(print(summary(cars_fit())), "mean_sd")
})

test_that("coef, vcov and confint agree", {
  la <- cars_fit()
  expect_identical(dimnames(vcov(la)), list(names(coef(la)), names(coef(la))))
  expect_length(coef(la), la$parameter_count)
  errors <- sqrt(diag(vcov(la)))
  interval <- confint(la, level = 0.9)
  expect_equal(unname(interval[, 2]), unname(coef(la) + qnorm(0.95) * errors))
  expect_identical(rownames(confint(la, 2:3)), names(coef(la))[2:3])
  expect_identical(rownames(confint(la, names(coef(la))[4])), names(coef(la))[4])
  expect_error(confint(la, "nothing"), "no parameter", class = "laplace_error_option")
  expect_identical(
    names(coef(last_layer_fit()))[c(1, 2, 5, 13)],
    c("output.weight[1,1]", "output.weight[1,2]", "output.weight[2,1]", "output.bias[1]")
  )
})

test_that("coefficients are the network's weights", {
  expect_setequal(signif(coef(cars_fit()), 10), signif(cars_net()$wts, 10))
})

test_that("logLik, AIC and BIC", {
  la <- last_layer_fit()
  value <- logLik(la)
  expect_s3_class(value, "logLik")
  expect_identical(attr(value, "df"), 15)
  expect_identical(attr(value, "nobs"), 150)
  expect_warning(aic <- AIC(la), "already weighs", class = "laplace_warning")
  expect_equal(aic, -2 * as.numeric(value) + 30)
  expect_warning(BIC(la), class = "laplace_warning")
})

test_that("fitted and residuals", {
  expect_equal(residuals(cars_fit()), scaled_cars$dist - fitted(cars_fit()))
  expect_equal(rowSums(residuals(iris_fit())), setNames(rep(0, 150), 1:150))
  expect_length(residuals(binary_fit()), 100)
})

test_that("simulate draws responses and minds the seed", {
  la <- cars_fit()
  one <- simulate(la, 3, seed = 7)
  expect_named(one, c("sim_1", "sim_2", "sim_3"))
  expect_identical(nrow(one), 50L)
  set.seed(1)
  before <- .Random.seed
  expect_identical(simulate(la, 3, seed = 7), one)
  expect_identical(.Random.seed, before)
  expect_false(identical(simulate(la, 1)$sim_1, simulate(la, 1)$sim_1))
  many <- as.matrix(simulate(la, 2000, seed = 1, newdata = scaled_cars[1:5, ]))
  values <- predict(la, scaled_cars[1:5, ], se.fit = TRUE)
  expect_equal(unname(apply(many, 1, sd)), unname(sqrt(values$se.fit^2 + values$residual.scale^2)), tolerance = 0.1)
  classes <- simulate(iris_fit(), 2, seed = 1)
  expect_identical(levels(classes$sim_1), levels(iris$Species))
  expect_gt(mean(classes$sim_1 == iris$Species), 0.8)
  expect_identical(levels(simulate(binary_fit(), 1, seed = 1)$sim_1), levels(two_species$Species))
})

test_that("metrics", {
  expect_true(all(c("nll", "ece", "brier", "accuracy") %in% names(laplace_metrics(iris_fit()))))
  metrics <- laplace_metrics(iris_fit(), iris[101:150, ])
  p <- predict(iris_fit(), iris[101:150, ])
  expect_equal(metrics[["nll"]], -mean(log(p[, "virginica"])))
  values <- predict(cars_fit(), scaled_cars, se.fit = TRUE)
  expect_equal(laplace_metrics(cars_fit())[["rmse"]], sqrt(mean((scaled_cars$dist - values$fit)^2)))
  expect_equal(
    laplace_metrics(cars_fit(), scaled_cars[1:9, ])[["nll"]],
    -mean(dnorm(scaled_cars$dist, values$fit, sqrt(values$se.fit^2 + values$residual.scale^2), log = TRUE)[1:9])
  )
  expect_identical(
    names(laplace_metrics(binary_fit(), two_species[1:4], two_species$Species)), names(laplace_metrics(binary_fit()))
  )
})

test_that("augment adds intervals, and sets of classes", {
  la <- cars_fit()
  new <- scaled_cars["speed"]
  for (each in list(c("confidence", "conf_int"), c("prediction", "pred_int"))) {
    bounds <- predict(la, new, type = each[2], level = 0.8)
    augmented <- augment(la, newdata = new, interval = each[1], conf.level = 0.8)
    expect_equal(augmented$.lower, bounds$.pred_lower)
    expect_equal(augmented$.upper, bounds$.pred_upper)
    expect_equal(augmented$.fitted, augment(la, newdata = new)$.fitted)
  }
  expect_equal(nrow(augment(la, interval = "prediction")), nrow(scaled_cars))
  expect_error(augment(la, interval = "predict"), "prediction")
  sets <- conformalize(iris_fit(), iris[c(TRUE, FALSE), ])
  augmented <- augment(sets, newdata = iris[1:5, ], interval = "prediction", conf.level = 0.9)
  own <- predict(sets, iris[1:5, ], type = "set", level = 0.9)
  expect_equal(augmented$.in_set_setosa, as.vector(own[, 1]))
  expect_true(".lower_virginica" %in% names(augment(sets, newdata = iris[1:5, ], interval = "confidence")))
})

test_that("tidy, glance and augment are found without library(generics), which they leave to its own methods", {
  skip_if_not_installed("generics")
  expect_identical(generics::glance(cars_fit()), glance(cars_fit()))
  registerS3method("tidy", "of_another_package", function(x, ...) "theirs", envir = asNamespace("generics"))
  expect_identical(tidy(structure(list(), class = "of_another_package")), "theirs")
  # Where generics is not installed, the package's own generics dispatch.
  for (name in c("tidy", "glance", "augment")) {
    expect_true(is.function(utils::getS3method(name, "laplace", envir = asNamespace("polylaplace"))))
  }
})

test_that("tidy, glance and augment", {
  la <- cars_fit()
  tidied <- tidy(la, conf.int = TRUE)
  expect_named(tidied, c("term", "estimate", "std.error", "conf.low", "conf.high"))
  expect_equal(tidied$std.error, unname(sqrt(diag(vcov(la)))))
  expect_identical(nrow(tidy(last_layer_fit(), by = "tensor")), 2L)
  expect_identical(nrow(tidy(iris_fit(), by = "tensor")), 4L)
  glanced <- glance(la)
  expect_identical(nrow(glanced), 1L)
  expect_equal(glanced$sigma, la$sigma_noise)
  augmented <- augment(la)
  expect_named(augmented, c("dist", "speed", ".fitted", ".se.fit", ".resid"))
  expect_equal(augmented$.resid, unname(residuals(la)))
  expect_named(augment(la, newdata = scaled_cars["speed"]), c("speed", ".fitted", ".se.fit"))
  expect_equal(augment(la, data = scaled_cars)$.resid, augmented$.resid)
  classes <- augment(iris_fit(), newdata = iris[1:3, ])
  expect_true(all(c(".fitted", ".se.fit", ".pred_setosa", ".pred_virginica") %in% names(classes)))
  expect_true(".pred_versicolor" %in% names(augment(binary_fit())))
})

test_that("pictures", {
  path <- tempfile(fileext = ".pdf")
  grDevices::pdf(path)
  on.exit(grDevices::dev.off())
  curve <- plot(cars_fit(), main = "cars")
  expect_named(curve, c("x", "fit", "lwr", "upr", "lower", "upper"))
  expect_true(all(curve$lower <= curve$lwr & curve$lwr <= curve$fit))
  reliability <- plot(iris_fit(), bins = 5)
  expect_identical(sum(reliability$count), 450L)
  expect_named(plot(binary_fit(), two_species[1:50, ]), c("probability", "frequency", "count"))
  set.seed(1)
  several <- laplace(
    nnet::nnet(Petal.Width / 3 ~ Sepal.Length + Sepal.Width, iris, size = 2, linout = TRUE, decay = 0.01, trace = FALSE)
  )
  expect_named(plot(several), c("fit", "se.fit", "y"))
  skip_if_not_installed("ggplot2")
  for (la in list(cars_fit(), iris_fit(), several)) {
    picture <- ggplot2::autoplot(la)
    expect_s3_class(picture, "ggplot")
    expect_silent(print(picture))
  }
})

test_that("each output of a low-rank regression has rows of its own in tidy", {
  skip_without_node()
  skip_if_not_installed("nnet")
  set.seed(2)
  x <- matrix(rnorm(90), 30)
  y <- cbind(x[, 1], x[, 2]) + rnorm(60) / 5
  fit <- nnet::nnet(x, y, size = 3, linout = TRUE, trace = FALSE)
  la <- suppressWarnings(suppressMessages(laplace(fit, x, y)))
  expect_equal(la$structure, "lowrank")
  table <- inside$tidy.laplace(la)
  expect_equal(nrow(table), 2 * la$parameter_count)
  expect_equal(table$term[seq_len(la$parameter_count)], table$term[-seq_len(la$parameter_count)])
  expect_true(all(table$std.error > 0))
  expect_length(unique(table$response), 2)
  expect_output(print(summary(la)), "mean_sd")
})

test_that("a file keeps the names of columns and classes", {
  path <- save_laplace(iris_fit(), tempfile(fileext = ".posterior"))
  loaded <- load_laplace(path)
  new <- iris[c(1, 60, 120), ]
  expect_equal(predict(loaded, new), predict(iris_fit(), new))
  expect_identical(levels(predict(loaded, new, type = "class")), levels(iris$Species))
  # Columns in another order, and others beside them.
  expect_equal(predict(loaded, new[5:1]), predict(loaded, new))
  expect_error(predict(loaded, new[-1]), "Sepal.Length")
  expect_identical(colnames(predict(load_laplace(path, levels = c("a", "b", "c")), new)), c("a", "b", "c"))
})

test_that("sigma() is a regression's noise, and model.frame() the rows of a fit by formula", {
  la <- laplace(nnet::nnet(dist ~ speed, cars, size = 2, linout = TRUE, trace = FALSE), sigma_noise = 3)
  expect_equal(sigma(la), 3)
  expect_equal(dim(model.frame(la)), c(50, 2))
  classes <- laplace(nnet::nnet(Species ~ ., iris, size = 2, trace = FALSE, decay = 0.1))
  expect_error(sigma(classes), "noise of a regression", class = "laplace_error_option")
})

test_that("a logical response counts as 0 and 1", {
  cars$far <- cars$dist > 40
  set.seed(1)
  fit <- nnet::nnet(far ~ speed, cars, size = 2, trace = FALSE, decay = 0.1)
  cars$far <- cars$far + 0
  set.seed(1)
  same <- nnet::nnet(far ~ speed, cars, size = 2, trace = FALSE, decay = 0.1)
  expect_equal(predict(laplace(fit), cars), predict(laplace(same), cars))
})
