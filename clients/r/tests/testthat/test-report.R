held <- c(1:20, 51:70, 101:120)

test_that("a report is one page with pictures and the names of the classes", {
  path <- tempfile(fileext = ".html")
  expect_identical(report(iris_fit(), path, iris[held, ], title = "Irises & more"), path)
  page <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  expect_match(page, "<h1>Irises &amp; more</h1>", fixed = TRUE)
  expect_match(page, "versicolor", fixed = TRUE)
  expect_gt(lengths(regmatches(page, gregexpr("<svg", page))), 5)
  expect_error(report(iris_fit(), path), "rows that the fit has not seen", class = "laplace_error_option")
})

test_that("figures are those of predictions, and every picture is drawn", {
  shown <- figures(iris_fit(), iris[held, ])
  p <- predict(iris_fit(), iris[held, ], type = "prob")
  doubt <- 1 - apply(p, 1, max)
  expect_equal(shown$most_uncertain[[1]]$doubt, max(doubt))
  expect_output(print(shown), "risk_coverage")
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  for (which in c("reliability", "network", "posterior", "novelty", "risk_coverage", "prior")) {
    table <- plot(shown, which)
    expect_true(all(is.finite(table$y)), which)
  }
  table <- plot(shown, "risk_coverage")
  own <- table$y[table$group == "posterior"]
  truth <- compare(iris_fit(), iris[held, ])["posterior", "accuracy"]
  expect_equal(own[length(own)], 1 - truth)
  expect_error(plot(shown, "pit"), "one of", class = "laplace_error_option")
  for (which in c("reliability", "novelty", "prior")) {
    expect_s3_class(ggplot2::ggplot_build(autoplot.laplace_figures(shown, which))$plot, "ggplot")
  }
})

test_that("a regression has residuals and PIT", {
  set.seed(1)
  fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
  shown <- figures(laplace(fit), cars / 50)
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  for (which in c("reliability", "posterior", "residuals", "pit")) expect_true(nrow(plot(shown, which)) > 0, which)
  residuals <- unlist(shown$residuals$residual)
  expect_equal(residuals, cars$dist / 50 - as.vector(predict(laplace(fit), cars / 50)), ignore_attr = TRUE)
})
