test_that("a forecast says bytes and seconds of every stage", {
  network <- iris_net()
  told <- forecast_laplace(network, 150, "classification", predict = 50, samples = 10)
  expect_identical(told$stages$stage, c("fit", "predict", "sample", "save"))
  expect_identical(told$bytes, max(told$stages$bytes))
  expect_equal(told$seconds, sum(told$stages$seconds))
  expect_output(print(told), "fit .* MiB .* s")
})

test_that("what is no count, and unknown options, are refused", {
  network <- iris_net()
  for (rows in list(0, -1, 1.5, NA, "many", 1:2)) {
    expect_error(forecast_laplace(network, rows, "classification"), "whole number", class = "laplace_error_option")
  }
  expect_error(
    forecast_laplace(network, 10, "classification", predicts = 3), "predicts",
    class = "laplace_error_option"
  )
  expect_error(forecast_laplace(network, 10, "clasification"), class = "laplace_error_option")
  expect_error(
    forecast_laplace(network, 10, "classification", "all", "full", memory_limit = 100),
    class = "laplace_error_resource"
  )
})
