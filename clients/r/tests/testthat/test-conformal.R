# Calibrated intervals and sets, and comparisons, against their definitions in R.

split_cars <- function() {
  set.seed(11)
  x <- runif(400, -2, 2)
  data.frame(x = x, y = sin(x) + rnorm(400, sd = 0.2 + 0.1 * abs(x)))
}

sine <- function() fit_once("sine", {
  data <- split_cars()
  set.seed(1)
  network <- nnet::nnet(y ~ x, data[1:100, ], size = 4, linout = TRUE, decay = 1e-3, trace = FALSE)
  list(data = data, network = network, la = laplace(network, data = data[1:100, ]))
})

test_that("intervals from held-out rows are those of split conformal prediction", {
  fit <- sine()
  held <- fit$data[101:200, ]
  la <- conformalize(fit$la, held)
  expect_identical(la$conformal, list(kind = "split", score = "residual", rows = 100))
  expect_null(fit$la$conformal)
  values <- predict(fit$la, held, se.fit = TRUE)
  deviation <- function(values) sqrt(values$se.fit^2 + values$residual.scale^2)
  scores <- sort(abs(held$y - values$fit) / deviation(values))
  new <- fit$data[201:400, ]
  at_new <- predict(fit$la, new, se.fit = TRUE)
  for (level in c(0.5, 0.9)) {
    q <- scores[ceiling(level * 101)]
    interval <- predict(la, new, type = "pred_int", level = level)
    expect_s3_class(interval, "data.frame")
    expect_identical(attr(interval, "interval"), "conformal")
    expect_equal(interval$.pred_lower, unname(at_new$fit - q * deviation(at_new)))
    expect_equal(interval$.pred_upper, unname(at_new$fit + q * deviation(at_new)))
    inside_share <- mean(new$y >= interval$.pred_lower & new$y <= interval$.pred_upper)
    expect_gt(inside_share, level - 0.12)
    expect_lt(inside_share, level + 0.12)
  }
  # The weights alone are no matter of calibration.
  expect_identical(
    predict(la, new, type = "conf_int")$.pred_upper, predict(fit$la, new, type = "conf_int")$.pred_upper
  )
  expect_message(
    wide <- predict(la, new[1:2, ], type = "pred_int", level = 0.999), "rows", class = "laplace_note"
  )
  expect_identical(wide$.pred_upper, c(Inf, Inf))
})

test_that("without held-out rows the jackknife is used, and said to be approximate", {
  fit <- sine()
  la <- conformalize(fit$la)
  expect_identical(la$conformal$kind, "jackknife")
  expect_message(interval <- predict(la, fit$data[1:3, ], type = "pred_int"), "approximate", class = "laplace_note")
  expect_identical(attr(interval, "interval"), "jackknife")
  expect_error(conformalize(laplace(cars_net(), prior_precision = 1, sigma_noise = 1)), class = "laplace_error_state")
})

test_that("sets of classes: adaptive and least ambiguous ones", {
  set.seed(2)
  held <- c(sample(50, 25), 50 + sample(50, 25), 100 + sample(50, 25))
  p_held <- predict(iris_fit(), iris[held, ], type = "prob")
  p_new <- predict(iris_fit(), iris[-held, ], type = "prob")
  own <- p_held[cbind(1:75, as.integer(iris$Species[held]))]
  limit <- function(scores, level) sort(scores)[ceiling(level * 76)]
  lac <- conformalize(iris_fit(), iris[held, ], score = "lac")
  expect_identical(lac$conformal, list(kind = "split", score = "lac", rows = 75))
  sets <- predict(lac, iris[-held, ], type = "set", level = 0.9)
  expect_identical(dimnames(sets), dimnames(p_new))
  expect_type(sets, "logical")
  # No set is empty.
  top <- p_new == apply(p_new, 1, max)
  expect_identical(c(sets), c(1 - p_new <= limit(1 - own, 0.9) | top))
  # Adaptive: the probability of the classes that are at least as probable.
  mass <- function(p) t(apply(p, 1, function(row) vapply(row, function(one) sum(row[row >= one]), 0)))
  aps <- conformalize(iris_fit(), iris[held, ])
  expect_identical(aps$conformal$score, "aps")
  sets <- predict(aps, iris[-held, ], type = "set", level = 0.9)
  scores <- mass(p_held)[cbind(1:75, as.integer(iris$Species[held]))]
  expect_identical(c(sets), c(mass(p_new) <= limit(scores, 0.9) + 1e-12 | top))
  expect_gte(mean(sets[cbind(1:75, as.integer(iris$Species[-held]))]), 0.85)
  expect_identical(predict(aps, iris[-held, ]), p_new)
  binary <- conformalize(binary_fit(), two_species)
  sets <- predict(binary, two_species[c(1, 100), ], type = "set")
  expect_identical(colnames(sets), levels(two_species$Species))
  expect_true(sets[1, 1] && sets[2, 2])
  with_missing <- predict(aps, replace(iris[1:2, ], cbind(1, 1), NA), type = "set")
  expect_identical(unname(is.na(with_missing[, 1])), c(TRUE, FALSE))
})

test_that("a calibration is kept by saveRDS, by files and after the server's end", {
  la <- conformalize(sine()$la, sine()$data[101:200, ])
  new <- sine()$data[201:205, "x", drop = FALSE]
  wanted <- predict(la, new, type = "pred_int")
  path <- tempfile(fileext = ".rds")
  saveRDS(la, path)
  file <- save_laplace(la, tempfile())
  close(laplace_server())
  expect_identical(predict(la, new, type = "pred_int"), wanted)
  expect_identical(predict(readRDS(path), new, type = "pred_int"), wanted)
  loaded <- load_laplace(file)
  expect_identical(loaded$conformal, la$conformal)
  expect_identical(predict(loaded, as.matrix(new), type = "pred_int")$.pred_lower, wanted$.pred_lower)
  expect_equal(loaded$choice[names(la$choice)], la$choice)
})

test_that("wrong calibrations are explained", {
  expect_error(predict(iris_fit(), iris, type = "set"), "conformalize", class = "laplace_error_state")
  expect_error(predict(cars_auto(), type = "set"), "needs classes", class = "laplace_error_option")
  expect_error(conformalize(iris_fit(), iris, score = "apz"), "Did you mean \"aps\"", class = "laplace_error_option")
  expect_error(conformalize(iris_fit(), iris, scoring = "lac"), "`scoring`", class = "laplace_error_option")
  expect_error(conformalize(iris_fit(), y = iris$Species), "need their rows", class = "laplace_error_option")
  by_matrix <- laplace(iris_net(), as.matrix(iris[1:4]), iris$Species)
  expect_error(conformalize(by_matrix, as.matrix(iris[1:4])), "true responses", class = "laplace_error_option")
  expect_error(conformalize(by_matrix, as.matrix(iris[1:4]), iris$Species[-1]), "149", class = "laplace_error_shape")
  expect_error(conformalize(iris_fit(), iris[1:4]), class = "laplace_error_shape")
  expect_error(conformalize(iris_fit(), iris[1:4], rep("rose", 150)), "rose", class = "laplace_error_data")
})

test_that("comparisons: network, temperature and posterior on the same rows", {
  set.seed(4)
  held <- sort(sample(150, 60))
  table <- compare(iris_fit(), iris[held, ])
  expect_s3_class(table, c("laplace_comparison", "data.frame"))
  expect_identical(rownames(table), c("network", "temperature", "posterior"))
  own <- cbind(1:60, as.integer(iris$Species[held]))
  truth <- nnet::class.ind(iris$Species[held])
  for (who in c("network", "posterior")) {
    p <- predict(if (who == "network") iris_net() else iris_fit(), iris[held, ])
    expect_equal(table[who, "nll"], -mean(log(p[own])), tolerance = 1e-6)
    expect_equal(table[who, "accuracy"], mean(max.col(p) == own[, 2]))
    expect_equal(table[who, "brier"], mean(rowSums((p - truth)^2)), tolerance = 1e-6)
  }
  expect_identical(table$points, c(60, 60, 60))
  expect_identical(attr(table, "temperature_from"), "cross-validation")
  further <- c("ece", "adaptive_ece", "class_wise_ece", "smooth_ece", "aurc", "coverage_at_risk_5")
  expect_true(all(further %in% names(table)))
  expect_output(print(table), "Scores on 60 rows.*network temperature posterior.*nll.*each tenth is")
  expect_equal(compare(iris_fit(), iris[held, 1:4], iris$Species[held]), table)
  validated <- suppressMessages(laplace(iris_net(), validation = 0.4))
  table <- compare(validated, iris[held, ])
  expect_identical(attr(table, "temperature_from"), "validation")
  expect_identical(attr(table, "temperature"), validated$choice$held_out$temperature)
  expect_identical(table$points, c(60, 60, 60))
  # Rows with missing values are left out.
  expect_identical(compare(iris_fit(), replace(iris[held, ], cbind(1, 1), NA))["posterior", "points"], 59)
})

test_that("comparisons tell outliers", {
  set.seed(4)
  held <- iris[sort(sample(150, 60)), ]
  others <- as.data.frame(lapply(iris[1:4], function(values) runif(30, 0, 2 * max(values))))
  table <- compare(iris_fit(), held, outliers = others)
  told <- attr(table, "outliers")
  expect_identical(rownames(told), c("network", "temperature", "posterior", "novelty"))
  for (who in c("network", "posterior")) {
    model <- if (who == "network") iris_net() else iris_fit()
    doubt <- lapply(list(held, others), function(rows) 1 - apply(predict(model, rows), 1, max))
    higher <- outer(doubt[[2]], doubt[[1]], ">") + 0.5 * outer(doubt[[2]], doubt[[1]], "==")
    expect_equal(told[who, "auroc"], mean(higher), tolerance = 1e-6)
    expect_equal(told[who, "fpr_at_95_tpr"], mean(doubt[[2]] <= sort(doubt[[1]])[57]))
  }
  expect_output(print(table), "Outliers.*auroc fpr_at_95_tpr.*network.*novelty")
  expect_equal(as.data.frame(unclass(table)), as.data.frame(unclass(compare(iris_fit(), held))))
  # Rows with missing values are left out.
  more <- rbind(others, NA)
  expect_identical(attr(compare(iris_fit(), held, outliers = more), "outliers"), told)
  expect_error(compare(iris_fit(), held, outliers = others[NA, ]), "no outlier", class = "laplace_error_data")
  expect_null(attr(compare(iris_fit(), held), "outliers"))
})

test_that("comparisons of regressions", {
  fit <- sine()
  new <- fit$data[201:400, ]
  table <- compare(fit$la, new)
  expect_identical(rownames(table), c("network", "posterior"))
  values <- predict(fit$la, new, se.fit = TRUE)
  deviation <- sqrt(values$se.fit^2 + values$residual.scale^2)
  expect_equal(table["posterior", "nll"], -mean(dnorm(new$y, values$fit, deviation, log = TRUE)))
  expect_equal(table["network", "rmse"], sqrt(mean((new$y - predict(fit$network, new))^2)))
  z <- abs(new$y - values$fit) / deviation
  for (level in c(0.5, 0.8, 0.9, 0.95)) {
    q <- qnorm((1 + level) / 2)
    expect_equal(table["posterior", paste0("coverage_", 100 * level)], mean(z <= q))
    expect_equal(table["posterior", paste0("width_", 100 * level)], mean(2 * q * deviation))
  }
  expect_output(print(table), "coverage_90")
  expect_error(compare(fit$la), "not seen", class = "laplace_error_option")
  expect_error(compare(fit$la, new, digits = 2), "`digits`", class = "laplace_error_option")
})

test_that("a regression of tables that come with R", {
  skip_if_not_installed("nnet")
  skip_without_node()
  set.seed(1)
  scaled <- as.data.frame(scale(mtcars))
  network <- nnet::nnet(mpg ~ ., scaled, size = 3, linout = TRUE, decay = 0.1, trace = FALSE)
  la <- laplace(network)
  expect_gt(la$sigma_noise, 0.05)
  expect_lt(la$sigma_noise, 1)
  interval <- predict(la, scaled, type = "pred_int", level = 0.9)
  expect_gt(mean(scaled$mpg >= interval$.pred_lower & scaled$mpg <= interval$.pred_upper), 0.8)
  skip_if_not_installed("MASS")
  boston <- as.data.frame(scale(MASS::Boston))
  set.seed(7)
  train <- sample(nrow(boston), 150)
  network <- nnet::nnet(medv ~ ., boston[train, ], size = 5, linout = TRUE, decay = 0.01, maxit = 500, trace = FALSE)
  la <- suppressMessages(laplace(network))
  held <- boston[-train, ]
  interval <- predict(la, held, type = "pred_int", level = 0.9)
  # The network alone, with the residuals of its training rows as noise, covers far less.
  residual <- sd(boston$medv[train] - predict(network, boston[train, ]))
  plain <- mean(abs(held$medv - predict(network, held)) <= qnorm(0.95) * residual)
  covered <- mean(held$medv >= interval$.pred_lower & held$medv <= interval$.pred_upper)
  expect_gt(covered, 0.8)
  expect_gt(covered, plain)
})
