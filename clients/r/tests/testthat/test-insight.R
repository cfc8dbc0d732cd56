test_that("insight finds formula, variables, data and parameters", {
  skip_if_not_installed("insight")
  skip_without_node()
  la <- cars_fit()
  expect_identical(insight::find_response(la), "dist")
  expect_identical(insight::find_predictors(la), list(conditional = "speed"))
  expect_equal(insight::get_data(la)[names(scaled_cars)], scaled_cars)
  expect_equal(insight::get_response(la), scaled_cars$dist)
  expect_equal(insight::get_predictors(la)$speed, scaled_cars$speed)
  expect_equal(insight::get_parameters(la)$Estimate, unname(coef(la)))
  expect_equal(insight::get_varcov(la), vcov(la))
  expect_equal(insight::n_obs(la), nrow(scaled_cars))
  expect_identical(insight::find_algorithm(la)$structure, "full")
})

test_that("insight has the variables of a formula as they were given, without rows that were left out", {
  skip_if_not_installed("insight")
  skip_without_node()
  gaps <- scaled_cars
  gaps$speed[3] <- NA
  gaps$other <- 1
  line <- list("0.weight" = matrix(0.5, 1), "0.bias" = 1)
  layers <- list(list(type = "Linear", name = "0"))
  la <- suppressMessages(suppressWarnings(
    laplace(dist ~ log(speed), gaps, model = line, likelihood = "regression", architecture = layers)
  ))
  expect_equal(insight::get_data(la), gaps[-3, c("dist", "speed")])
  expect_identical(insight::find_predictors(la)$conditional, "speed")
  expect_equal(insight::get_response(la), gaps$dist[-3])
})

test_that("insight takes a fit to a matrix as y and its features", {
  skip_if_not_installed("insight")
  skip_without_node()
  x <- as.matrix(scaled_cars["speed"])
  la <- suppressMessages(laplace(cars_net(), x, scaled_cars$dist, subset = "all", structure = "full"))
  expect_identical(insight::find_response(la), "y")
  expect_identical(insight::find_predictors(la)$conditional, "speed")
  expect_equal(insight::get_response(la), scaled_cars$dist)
  expect_equal(insight::get_predictors(la)$speed, scaled_cars$speed)
})

test_that("insight is told of the likelihood what it says of models of the same one", {
  skip_if_not_installed("insight")
  skip_without_node()
  same <- function(la, model, but = character()) {
    own <- insight::model_info(la)
    theirs <- insight::model_info(model)
    names <- setdiff(names(theirs), c("n_obs", "n_grouplevels", but))
    expect_identical(own[names], theirs[names])
    expect_identical(own$n_obs, as.integer(nobs(la)))
  }
  same(cars_fit(), lm(dist ~ speed, cars))
  same(binary_fit(), glm(am ~ wt, binomial, mtcars))
  same(iris_fit(), nnet::multinom(Species ~ Sepal.Width, iris, trace = FALSE))
  expect_equal(insight::link_inverse(binary_fit())(0.3), plogis(0.3))
  expect_equal(insight::link_function(binary_fit())(0.3), qlogis(0.3))
  expect_identical(insight::find_response(iris_fit()), "Species")
  expect_identical(levels(insight::get_response(iris_fit())), levels(iris$Species))
})
