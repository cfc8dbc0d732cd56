# caret's train() compares networks by their posteriors.

set.seed(2)
control <- function(...) caret::trainControl("cv", number = 2, ...)

test_that("train() fits classes, with probabilities, and keeps the posterior", {
  skip_without_node()
  for (package in c("caret", "nnet")) skip_if_not_installed(package)
  set.seed(3)
  model <- caret_laplace(prior_precision = 1, structure = "kron")
  rows <- c(1:30, 51:80, 101:130)
  fit <- suppressWarnings(caret::train(
    iris[rows, 1:4], iris$Species[rows], method = model, trace = FALSE, preProcess = c("center", "scale"),
    tuneGrid = expand.grid(size = c(2, 4), decay = 0.05), trControl = control(classProbs = TRUE)
  ))
  expect_equal(nrow(fit$results), 2)
  expect_gt(max(fit$results$Accuracy), 0.85)
  expect_s3_class(fit$finalModel, "laplace")
  expect_equal(fit$finalModel$structure, "kron")
  new <- iris[c(40, 90, 140), 1:4]
  scaled <- as.matrix(stats::predict(fit$preProcess, new))
  chances <- stats::predict(fit, new, type = "prob")
  expect_named(chances, levels(iris$Species))
  expect_equal(unname(as.matrix(chances)), unname(stats::predict(fit$finalModel, scaled, type = "prob")))
  expect_identical(as.character(stats::predict(fit, new)), levels(iris$Species))
  expect_identical(caret::predictors(fit), names(iris)[1:4])
})

test_that("train() fits numbers, by the default grid and a random one", {
  skip_without_node()
  for (package in c("caret", "nnet")) skip_if_not_installed(package)
  set.seed(3)
  x <- data.frame(speed = cars$speed / 10)
  y <- cars$dist / 50
  fit <- suppressWarnings(suppressMessages(caret::train(
    x, y, method = caret_laplace(), trace = FALSE, tuneLength = 2, trControl = control()
  )))
  expect_equal(nrow(fit$results), 4)
  expect_lt(min(fit$results$RMSE), stats::sd(y))
  bounds <- stats::predict(fit$finalModel, as.matrix(x), type = "pred_int", level = 0.9)
  means <- stats::predict(fit, x)
  expect_true(all(bounds$.pred_lower < means & means < bounds$.pred_upper))
  drawn <- caret_laplace()$grid(x, y, len = 3, search = "random")
  expect_equal(dim(drawn), c(3, 2))
  expect_error(
    caret_laplace()$fit(as.matrix(x), y, rep(1, 50), data.frame(size = 1, decay = 0)), "case weights",
    class = "laplace_error_option"
  )
})
