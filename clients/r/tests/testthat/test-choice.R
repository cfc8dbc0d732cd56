# What a fit chooses when nothing is given, and held-out rows.

# The width of what is printed, and no line break where a sentence is sought.
printed <- function(x) paste(utils::capture.output(print(x)), collapse = "\n")
on_one_line <- function(x) gsub("\\s+", " ", printed(x))

test_that("the choice is in the object, with R's names", {
  choice <- iris_fit()$choice
  expect_identical(choice$subset, "all")
  expect_identical(choice$structure, "lowrank")
  expect_equal(choice$network_weight + choice$halfway_weight + choice$linear_weight, 1)
  expect_equal(choice$r, choice$network_nll / choice$leave_one_out_nll)
  # What goes to wrong classes is said to a tenth of a per cent.
  wrong <- as.numeric(sub(".*left out ([0-9.]+) % of the probability.*", "\\1", choice$explanation)) / 100
  expect_lt(abs(choice$linear_weight / choice$halfway_weight - wrong), 0.00051)
  expect_equal(choice$halfway_scale, min(1 / 2, 4 * choice$halfway_weight))
  expect_s3_class(choice$leave_one_out, "data.frame")
  expect_equal(choice$leave_one_out$nll[choice$leave_one_out$scale == choice$s], choice$leave_one_out_nll)
  expect_equal(choice$prior_precision, iris_fit()$prior_precision)
  # The network's score is nnet's own.
  p <- predict(iris_net(), iris)
  expect_equal(choice$network_nll, -mean(log(p[cbind(1:150, as.integer(iris$Species))])))
  expect_null(laplace(iris_net(), prior_precision = 1)$choice)
})

test_that("print and summary say it in words, within the console's width", {
  la <- iris_fit()
  for (width in c(40, 80, 100)) {
    local_options(width = width)
    for (object in list(la, summary(la))) {
      text <- on_one_line(object)
      expect_match(text, la$choice$explanation, fixed = TRUE)
      expect_match(text, la$choice$reason, fixed = TRUE)
    }
    lines <- utils::capture.output(writeLines(inside$choice_lines(la$choice, 4)))
    expect_lte(max(nchar(lines)), width)
  }
  text <- on_one_line(la)
  four <- function(value) format(value, digits = 4)
  expect_match(text, sprintf("%s %% network", format(100 * la$choice$network_weight, digits = 3)), fixed = TRUE)
  expect_match(text, sprintf("r = %s", four(la$choice$r)), fixed = TRUE)
  expect_match(text, sprintf("Leave-one-out NLL of the linear model: %s", four(la$choice$leave_one_out_nll)))
  expect_match(printed(cars_auto()), sprintf("deviation): %s", four(cars_auto()$sigma_noise)), fixed = TRUE)
  expect_no_match(printed(laplace(iris_net(), prior_precision = 1)), "Chosen|Answer")
})

test_that("the answer is the mixture that the choice describes", {
  la <- iris_fit()
  mixed <- predict(la, iris, type = "prob")
  network <- predict(iris_net(), iris)
  others <- (mixed - la$choice$network_weight * network) / (1 - la$choice$network_weight)
  expect_equal(unname(rowSums(others)), rep(1, 150), tolerance = 1e-6)
  expect_true(all(others > -1e-6))
  expect_gt(max(abs(mixed - network)), 1e-6)
})

test_that("scores on the training rows are shown", {
  wire <- list(
    rows = 150, network = list(nll = 0.25, accuracy = 0.5), posterior = list(nll = 0.5, accuracy = 0.75),
    leaveOneOutNll = 0.625
  )
  shown <- iris_fit()
  shown$training <- inside$training_of(wire)
  expect_identical(shown$training$posterior, c(nll = 0.5, accuracy = 0.75))
  expect_identical(shown$training$leave_one_out_nll, 0.625)
  text <- on_one_line(shown)
  expect_match(text, "model: 0.625 Scores on the 150 training rows: nll accuracy network 0.25 0.50 posterior 0.50 0.75")
  shown$training <- inside$training_of(replace(wire, "posterior", list(NULL)))
  expect_identical(rownames(inside$training_scores(shown$training)), "network")
  skip_if(is.null(iris_fit()$training), "the server gives no scores on the training rows")
  training <- iris_fit()$training
  p <- predict(iris_net(), iris)
  expect_equal(training$network[["accuracy"]], mean(max.col(p) == as.integer(iris$Species)))
  expect_equal(training$network[["nll"]], -mean(log(p[cbind(1:150, as.integer(iris$Species))])), tolerance = 1e-6)
})

test_that("notes that network and data contradict each other are warnings with a class", {
  notes <- c("Warning: The labels are in another order.", "Something else.")
  expect_warning(inside$announce(notes[1]), "^The labels are in", class = "laplace_warning_mismatch")
  expect_warning(inside$announce(notes[1]), class = "laplace_warning")
  expect_message(inside$announce(notes[2]), "Something else", class = "laplace_note")
  shown <- iris_fit()
  shown$notes <- notes
  expect_match(printed(shown), "Note: Something else.\nWarning: The labels are in another order.", fixed = TRUE)
  skip_if(is.null(iris_fit()$training), "the server gives no scores on the training rows")
  other <- factor(c("versicolor", "virginica", "setosa"))[as.integer(iris$Species)]
  expect_warning(laplace(iris_net(), as.matrix(iris[1:4]), other), class = "laplace_warning_mismatch")
  expect_warning(
    laplace(cars_net(), as.matrix(scaled_cars["speed"]), 1000 * scaled_cars$dist), class = "laplace_warning_mismatch"
  )
})

test_that("logLik is that at the network's weights and tells right labels from permuted ones", {
  la <- iris_fit()
  right <- as.numeric(logLik(la))
  expect_identical(right, la$log_marginal_likelihood)
  expect_false(isTRUE(all.equal(right, la$log_evidence_at_mode)))
  p <- predict(iris_net(), iris)
  expect_equal(la$log_likelihood, sum(log(p[cbind(1:150, as.integer(iris$Species))])))
  set.seed(2)
  permuted <- suppressWarnings(laplace(iris_net(), as.matrix(iris[1:4]), sample(iris$Species)))
  expect_gt(right, as.numeric(logLik(permuted)) + 100)
  set.seed(2)
  cars_permuted <- suppressWarnings(laplace(cars_net(), as.matrix(scaled_cars["speed"]), sample(scaled_cars$dist)))
  expect_gt(as.numeric(logLik(cars_auto())), as.numeric(logLik(cars_permuted)))
  glanced <- glance(la)
  expect_identical(glanced$log_evidence_at_mode, la$log_evidence_at_mode)
  expect_identical(glanced$log.marginal.likelihood, right)
  expect_identical(glanced$leave.one.out.nll, la$choice$leave_one_out_nll)
})

test_that("held-out rows: as data, as a data frame and as a share", {
  set.seed(3)
  held <- sort(sample(150, 40))
  by_frame <- suppressMessages(laplace(Species ~ ., iris[-held, ], model = iris_net(), validation = iris[held, ]))
  expect_identical(by_frame$tuned, "validated")
  expect_identical(by_frame$choice$held_out$rows, 40)
  expect_identical(nobs(by_frame), 110)
  p <- predict(by_frame, iris[held, ], type = "prob")
  own <- p[cbind(1:40, as.integer(iris$Species[held]))]
  expect_equal(by_frame$choice$held_out$nll, -mean(log(own)), tolerance = 1e-6)
  rows <- list(x = iris[held, 1:4], y = iris$Species[held])
  by_list <- suppressMessages(laplace(Species ~ ., iris[-held, ], model = iris_net(), validation = rows))
  by_matrix <- suppressMessages(laplace(iris_net(), iris[-held, 1:4], iris$Species[-held], validation = rows))
  expect_equal(by_list$prior_precision, by_frame$prior_precision)
  expect_equal(predict(by_matrix, iris[1:4]), predict(by_frame, iris))
  share <- suppressMessages(laplace(iris_net(), validation = 0.2, seed = 4))
  expect_identical(nobs(share), 120)
  expect_identical(share$choice$held_out$rows, 30)
  scaled <- suppressMessages(laplace(cars_net(), validation = 0.3))
  expect_identical(scaled$tuned, "validated")
  expect_gt(scaled$sigma_noise, 0)
})

test_that("temperature scaling is the baseline on held-out rows", {
  # Some of these rows the network takes for another class, so that the temperature is not 0.
  held <- 51:130
  la <- suppressMessages(
    laplace(Species ~ ., iris[-held, ], model = iris_net(), validation = iris[held, ], calibrate = "temperature")
  )
  f <- predict(la, iris, type = "link")
  own <- as.integer(iris$Species)
  nll <- function(log_t, rows) {
    z <- f[rows, ] / exp(log_t)
    -mean(z[cbind(seq_along(rows), own[rows])] - log(rowSums(exp(z))))
  }
  best <- optimize(nll, c(-4, 4), rows = held, tol = 1e-8)
  expect_equal(la$choice$held_out$temperature, exp(best$minimum), tolerance = 1e-3)
  e <- exp(f / la$choice$held_out$temperature)
  expect_equal(unname(predict(la, iris)), unname(e / rowSums(e)), tolerance = 1e-6)
})

test_that("wrong held-out rows are explained", {
  x <- as.matrix(iris[1:4])
  for (wrong in list(0, 1, -0.5, c(0.1, 0.2), NA_real_)) {
    expect_error(laplace(iris_net(), validation = wrong), "between 0 and 1", class = "laplace_error_option")
  }
  for (wrong in list("0.1", TRUE, list(x = x), list(1))) {
    expect_error(laplace(iris_net(), x, iris$Species, validation = wrong), "list\\(x", class = "laplace_error_option")
    expect_error(laplace(iris_net(), validation = wrong), "data frame", class = "laplace_error_option")
  }
  few <- list(x = x[1:5, ], y = iris$Species[1:4])
  expect_error(laplace(iris_net(), x, iris$Species, validation = few), "5 rows", class = "laplace_error_shape")
  strange <- list(x = x[1:2, ], y = c("rose", "setosa"))
  expect_error(laplace(iris_net(), x, iris$Species, validation = strange), "rose", class = "laplace_error_data")
  missing <- list(x = replace(x[1:2, ], TRUE, NA), y = iris$Species[1:2])
  expect_error(laplace(iris_net(), x, iris$Species, validation = missing), "no row", class = "laplace_error_data")
  expect_error(laplace(iris_net(), calibrate = "temperature"), "held-out", class = "laplace_error_option")
  expect_error(laplace(iris_net(), tune = "validated"), "validation", class = "laplace_error_option")
  expect_error(
    laplace(cars_net(), validation = 0.2, calibrate = "temperature"), "regression", class = "laplace_error_option"
  )
})

test_that("each output of a regression has its own noise, whatever its scale", {
  skip_without_node()
  set.seed(5)
  x <- matrix(rnorm(300), 150, dimnames = list(NULL, c("u", "v")))
  mean <- cbind(small = x[, 1], large = 1000 * x[, 2])
  y <- mean + cbind(rnorm(150, sd = 0.1), rnorm(150, sd = 50))
  # An identity network: the linear model over its weights is least squares, and its noise the residuals'.
  weights <- list("0.weight" = diag(c(1, 1000)), "0.bias" = c(0, 0))
  la <- laplace(weights, x, y, likelihood = "regression", architecture = list(list(type = "Linear", name = "0")))
  expect_named(la$sigma_noise, c("small", "large"))
  residual <- vapply(1:2, function(output) stats::sigma(stats::lm(y[, output] ~ x)), 0)
  expect_equal(unname(la$sigma_noise), residual, tolerance = 0.02)
  values <- predict(la, x, se.fit = TRUE)
  expect_identical(values$residual.scale, la$sigma_noise)
  expect_gt(min(values$se.fit[, "large"]) / max(values$se.fit[, "small"]), 50)
  for (output in c("small", "large")) {
    interval <- predict(la, x, type = "pred_int", level = 0.8)[paste0(c(".pred", ".pred_upper"), "_", output)]
    width <- qnorm(0.9) * sqrt(values$se.fit[, output]^2 + la$sigma_noise[[output]]^2)
    expect_equal(interval[[2]] - interval[[1]], unname(width))
  }
  deviation <- sqrt(values$se.fit^2 + matrix(la$sigma_noise^2, 150, 2, byrow = TRUE))
  expect_equal(laplace_metrics(la)[["nll"]], -mean(dnorm(y, values$fit, deviation, log = TRUE)))
  many <- simulate(la, 1000, seed = 1, newdata = x[1:3, ])
  draws <- vapply(many, function(draw) draw[1, ], c(0, 0))
  expect_equal(unname(apply(draws, 1, sd)), unname(deviation[1, ]), tolerance = 0.1)
  expect_match(printed(la), sprintf("small %s, large %s", format(la$sigma_noise[[1]], digits = 4), ""))
  layers <- list(list(type = "Linear", name = "0"))
  for (given in list(c(0.2, 70), list(0.2, 70))) {
    known <- laplace(weights, x, y, likelihood = "regression", architecture = layers, sigma_noise = given)
    expect_identical(known$sigma_noise, c(small = 0.2, large = 70))
  }
  for (wrong in list(-1, c(1, NA), "1", numeric(), list(1, "a"))) {
    expect_error(
      laplace(weights, x, y, likelihood = "regression", architecture = layers, sigma_noise = wrong), "sigma_noise",
      class = "laplace_error_option"
    )
  }
})

test_that("novelty stands beside predictions and uncertainty", {
  la <- cars_auto()
  new <- data.frame(speed = c(0.3, NA, 5))
  parts <- laplace_uncertainty(la, new)
  expect_named(parts, c("aleatoric", "epistemic", "total", "novelty", "novelty_score"))
  expect_equal(parts$novelty_score, parts$epistemic / la$sigma_noise^2)
  expect_gt(parts$novelty_score[3], parts$novelty_score[1])
  expect_equal(parts$novelty[3], 1 / 51)
  expect_true(is.na(parts$novelty[2]))
  # A p-value: a share of the rows of the fit, rising as the score falls.
  own <- laplace_uncertainty(la)
  expect_true(all(abs(own$novelty * 51 - round(own$novelty * 51)) < 1e-9))
  expect_true(all(diff(own$novelty[order(own$novelty_score)]) <= 0))
  augmented <- augment(la, newdata = new)
  expect_named(augmented, c("speed", ".fitted", ".se.fit", ".novelty", ".novelty_score"))
  expect_equal(augmented$.novelty, parts$novelty)
  expect_equal(augmented$.novelty_score, parts$novelty_score)
  expect_true(all(c(".novelty", ".novelty_score") %in% names(augment(iris_fit()))))
  expect_false(".novelty" %in% names(augment(laplace(iris_net(), prior_precision = 1))))
})

test_that("a network fitted with a formula says how its data are given", {
  net <- nnet::nnet(Species ~ ., iris, size = 2, maxit = 2, trace = FALSE)
  expect_error(laplace(net, iris), "laplace\\(fit, data = frame\\)", class = "laplace_error")
})

test_that("notes that count classes from 0 name the levels that they mean", {
  notes <- c("Warning: label 0 as 2 (counted from 0).", "Something else.")
  named <- inside$with_levels(notes, c("elm", "oak", "ash"))
  expect_equal(named, c("Warning: label 0 as 2 (counted from 0). Here 0 is 'elm', 1 is 'oak', 2 is 'ash'.", notes[2]))
  expect_equal(inside$with_levels(notes, NULL), notes)
  expect_null(inside$with_levels(NULL, c("a", "b")))
})
