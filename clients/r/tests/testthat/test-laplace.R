test_that("an nnet fit by formula needs nothing else", {
  la <- iris_fit()
  expect_s3_class(la, "laplace")
  expect_identical(la$likelihood, "classification")
  expect_identical(la$subset, "all")
  expect_identical(la$structure, "lowrank")
  expect_identical(la$tuned, "auto")
  before <- last_layer_fit()
  expect_identical(before$subset, "last_layer")
  expect_identical(before$structure, "kron")
  expect_identical(before$tuned, "linearized")
  expect_identical(la$levels, levels(iris$Species))
  expect_identical(nobs(la), 150)
  expect_identical(binary_fit()$likelihood, "binary")
  expect_identical(cars_fit()$likelihood, "regression")
})

test_that("formula, matrix and network's own data agree", {
  la <- iris_fit()
  by_formula <- laplace(Species ~ ., data = iris, model = iris_net())
  by_matrix <- laplace(iris_net(), as.matrix(iris[1:4]), iris$Species)
  by_frame <- laplace(iris_net(), iris[1:4], as.character(iris$Species))
  for (other in list(by_formula, by_matrix, by_frame)) {
    expect_equal(other$prior_precision, la$prior_precision)
    expect_equal(predict(other, iris), predict(la, iris))
  }
})

test_that("predictors in another order than the network's are put right", {
  other <- laplace(Species ~ Petal.Width + Petal.Length + Sepal.Length + Sepal.Width, iris, model = iris_net())
  expect_equal(predict(other, iris), predict(iris_fit(), iris))
  expect_equal(predict(other), predict(iris_fit()))
  by_matrix <- laplace(iris_net(), as.matrix(iris[4:1]), iris$Species)
  expect_equal(predict(by_matrix, iris), predict(iris_fit(), iris))
})

test_that("the likelihood of an nnet object follows from how it was trained", {
  skip_if_not_installed("nnet")
  set.seed(1)
  x <- as.matrix(iris[1:4])
  two <- cbind(iris$Petal.Width > 1, iris$Sepal.Width > 3) + 0
  expect_identical(inside$nnet_likelihood(iris_net()), "classification")
  expect_identical(inside$nnet_likelihood(binary_net()), "binary")
  expect_identical(inside$nnet_likelihood(cars_net()), "regression")
  expect_identical(inside$nnet_likelihood(nnet::nnet(x, two, size = 2, entropy = TRUE, trace = FALSE)), "multilabel")
})

test_that("indicator matrices, as nnet itself takes them, are classes", {
  set.seed(1)
  x <- as.matrix(iris[1:4])
  indicators <- nnet::class.ind(iris$Species)
  fit <- nnet::nnet(x, indicators, size = 3, softmax = TRUE, decay = 0.05, trace = FALSE)
  la <- laplace(fit, x, indicators)
  expect_identical(la$levels, levels(iris$Species))
  expect_equal(predict(la, x), predict(laplace(fit, x, iris$Species), x))
  expect_error(laplace(fit, x, 2 * indicators), "factor", class = "laplace_error_data")
})

test_that("multilabel and several regressions", {
  skip_if_not_installed("nnet")
  skip_without_node()
  set.seed(1)
  x <- as.matrix(iris[1:3])
  labels <- cbind(wide = iris$Petal.Width > 1, long = iris$Sepal.Length > 6) + 0
  la <- laplace(nnet::nnet(x, labels, size = 2, entropy = TRUE, decay = 0.05, trace = FALSE), x, labels)
  expect_identical(colnames(predict(la, x)), c("wide", "long"))
  expect_type(predict(la, x, type = "class"), "logical")
  limits <- c(".pred", ".pred_lower", ".pred_upper")
  expect_named(predict(la, x, type = "conf_int", seed = 1), c(paste0(limits, "_wide"), paste0(limits, "_long")))
  expect_identical(dim(residuals(la)), c(150L, 2L))
  targets <- cbind(a = iris$Petal.Width, b = iris$Petal.Length) / 10
  la <- laplace(nnet::nnet(x, targets, size = 2, linout = TRUE, decay = 0.001, trace = FALSE), x, targets)
  expect_identical(colnames(predict(la, x)), c("a", "b"))
  expect_named(predict(la, x, type = "pred_int"), c(paste0(limits, "_a"), paste0(limits, "_b")))
  expect_named(
    laplace_uncertainty(la, x[1:3, ]), c("aleatoric", "epistemic", "total", "novelty", "novelty_score")
  )
  expect_length(simulate(la, 2), 2)
  expect_identical(dim(simulate(la, 2)[[1]]), c(150L, 2L))
})

test_that("networks with skipped layers", {
  skip_if_not_installed("nnet")
  skip_without_node()
  set.seed(1)
  fit <- nnet::nnet(dist ~ speed, scaled_cars, size = 2, skip = TRUE, linout = TRUE, decay = 0.001, trace = FALSE)
  la <- last_layer(fit)
  expect_close(predict(la, scaled_cars, type = "link"), predict(fit, scaled_cars), 1e-9)
})

test_that("factors among the predictors are coded as the network's were", {
  skip_if_not_installed("nnet")
  skip_without_node()
  set.seed(1)
  fit <- nnet::nnet(breaks / 70 ~ wool + tension, warpbreaks, size = 2, linout = TRUE, decay = 0.01, trace = FALSE)
  la <- last_layer(fit)
  expect_close(predict(la, warpbreaks), predict(fit, warpbreaks), 1e-9)
  expect_close(
    predict(la, data.frame(wool = "B", tension = "M")), predict(fit, data.frame(wool = "B", tension = "M")), 1e-9
  )
  expect_error(predict(la, data.frame(wool = "C", tension = "M")), "new level")
  by_formula <- last_layer(breaks / 70 ~ wool + tension, warpbreaks, model = fit)
  expect_equal(by_formula$log_marginal_likelihood, la$log_marginal_likelihood)
  chosen <- laplace(fit)
  expect_equal(predict(laplace(breaks / 70 ~ wool + tension, warpbreaks, model = fit)), predict(chosen))
  # The mean is halfway between the network and its linear model.
  expect_close(predict(chosen, warpbreaks), predict(fit, warpbreaks), 0.05)
})

test_that("the data of an nnet fit is found with its subset and na.action, or given", {
  skip_if_not_installed("nnet")
  skip_without_node()
  local_fit <- function() {
    mine <- scaled_cars
    mine$speed[3] <- NA
    set.seed(1)
    nnet::nnet(dist ~ speed, mine, subset = 1:40, size = 2, linout = TRUE, decay = 0.001, trace = FALSE)
  }
  expect_identical(nobs(laplace(local_fit())), 39)
  fit <- local_fit()
  fit$call$data <- quote(no_such_data)
  expect_error(laplace(fit), "data =", class = "laplace_error_option")
  fit$call$subset <- NULL
  expect_identical(nobs(laplace(fit, data = scaled_cars)), 50)
})

test_that("missing values are left out, restored by na.exclude, or refused", {
  broken <- scaled_cars
  broken$speed[2] <- NA
  broken$dist[5] <- NA
  omitted <- laplace(dist ~ speed, broken, model = cars_net())
  expect_identical(nobs(omitted), 48)
  expect_length(fitted(omitted), 48)
  excluded <- laplace(dist ~ speed, broken, model = cars_net(), na.action = na.exclude)
  expect_length(fitted(excluded), 50)
  expect_identical(which(is.na(residuals(excluded))), c(`2` = 2L, `5` = 5L))
  expect_error(laplace(dist ~ speed, broken, model = cars_net(), na.action = na.fail), "missing values")
  by_matrix <- laplace(cars_net(), as.matrix(broken["speed"]), broken$dist)
  expect_identical(nobs(by_matrix), 48)
  expect_error(laplace(cars_net(), as.matrix(broken["speed"]), broken$dist, na.action = na.fail), "missing values")
})

test_that("tuning: methods, structures and given priors", {
  fixed <- laplace(iris_net(), prior_precision = 2)
  expect_equal(fixed$prior_precision, 2)
  expect_identical(fixed$tuned, "none")
  expect_length(laplace(iris_net(), prior_structure = "layerwise", tune = "marglik")$prior_precision, 2)
  expect_length(laplace(iris_net(), prior_structure = "diag", tune = "marglik", structure = "diag")$prior_precision, 15)
  grid <- suppressMessages(
    laplace(Species ~ ., iris[-(1:30), ], model = iris_net(), tune = "grid", validation = iris[1:30, ])
  )
  expect_identical(grid$tuned, "grid")
  held <- list(x = iris[1:30, 1:4], y = iris$Species[1:30])
  expect_message(
    by_matrix <- laplace(iris_net(), iris[-(1:30), 1:4], iris$Species[-(1:30)], tune = "grid", validation = held),
    "edge", class = "laplace_note"
  )
  expect_equal(by_matrix$prior_precision, grid$prior_precision)
  expect_error(laplace(iris_net(), tune = "grid"), class = "laplace_error_option")
})

test_that("wrong options name the nearest right one", {
  error <- expect_error(laplace(iris_net(), strcture = "full"), "structure", class = "laplace_error_option")
  expect_identical(error$code, "UNKNOWN_OPTION")
  expect_identical(error$data$suggestion, "structure")
  expect_error(laplace(iris_net(), structure = "krn"), "'kron'", class = "laplace_error_option")
  expect_error(
    laplace(iris_net(), likelihood = "clasification"), "Did you mean \"classification\"", class = "laplace_error_option"
  )
  expect_error(laplace(iris_net(), prior_precision = -1), class = "laplace_error_option")
  expect_error(laplace(iris_net(), subset = 0), class = "laplace_error_option")
  expect_error(
    laplace(iris_net(), iris[1:4], iris$Species, NULL, "last_layer", "kron", 3), "by name",
    class = "laplace_error_option"
  )
})

test_that("wrong data is explained", {
  x <- as.matrix(iris[1:4])
  expect_error(laplace(iris_net(), x, iris$Species[-1]), "150 rows and `y` has 149", class = "laplace_error_shape")
  expect_error(laplace(iris_net(), x[, 1:3], iris$Species), class = "laplace_error_shape")
  expect_error(laplace(iris_net(), iris, iris$Species), "Species.*not numeric", class = "laplace_error_data")
  expect_error(laplace(iris_net(), x, rep("rose", 150)), "rose.*Its levels are", class = "laplace_error_data")
  expect_error(laplace(iris_net(), x, as.integer(iris$Species)), "factor", class = "laplace_error_data")
  expect_error(
    laplace(cars_net(), as.matrix(scaled_cars["speed"]), factor(scaled_cars$dist)), "classification",
    class = "laplace_error_data"
  )
  expect_error(laplace(replace(x, 1, Inf)), class = "laplace_error_data")
  expect_error(laplace(iris_net(), replace(x, 1, Inf), iris$Species), class = "laplace_error_data")
  expect_error(laplace(lm(dist ~ speed, cars)), "class lm is not a network", class = "laplace_error_data")
  expect_error(laplace(Species ~ ., iris), "model = ", class = "laplace_error_option")
})

test_that("a fit of multinom is sent elsewhere", {
  skip_if_not_installed("nnet")
  fit <- nnet::multinom(Species ~ Sepal.Width, iris, trace = FALSE)
  expect_error(laplace(fit), "vcov", class = "laplace_error_graph")
})

test_that("a mask of nnet() is warned about unless the parameters are given", {
  skip_without_node()
  set.seed(1)
  fit <- nnet::nnet(
    dist ~ speed, scaled_cars, size = 2, linout = TRUE, trace = FALSE, mask = rep(c(TRUE, FALSE), c(6, 1))
  )
  expect_warning(laplace(fit, tune = "none"), "mask.*subset = c\\(1:5, 7\\)", class = "laplace_warning")
  expect_no_warning(suppressMessages(laplace(fit, subset = c(1:5, 7), structure = "diag", tune = "none")))
})

test_that("the parameters of nnet's weights are numbered as theta is, with connections that skip too", {
  skip_without_node()
  set.seed(1)
  wide <- data.frame(a = rnorm(20), b = rnorm(20), y = rnorm(20), z = rnorm(20))
  fit <- nnet::nnet(cbind(y, z) ~ a + b, wide, size = 2, skip = TRUE, linout = TRUE, trace = FALSE)
  la <- laplace(fit, data = wide, subset = "all", structure = "diag", prior_precision = 1)
  expect_equal(unname(coef(la)), fit$wts[nnet_order(fit)], tolerance = 1e-12)
})

test_that("case weights are warned about", {
  skip_if_not_installed("nnet")
  skip_without_node()
  set.seed(1)
  fit <- nnet::nnet(
    dist ~ speed, scaled_cars, weights = rep(2, 50), size = 2, linout = TRUE, decay = 0.01, trace = FALSE
  )
  expect_warning(laplace(fit), "case weights", class = "laplace_warning")
})

test_that("subsets: words, names, and numbers from 1 on", {
  expect_null(inside$wire_subnetwork("all"))
  expect_identical(inside$wire_subnetwork("0.weight"), list("0.weight"))
  expect_identical(inside$from_wire(inside$wire_subnetwork(c(1, 3))), c(0, 2))
  expect_identical(inside$wire_subnetwork(list(count = 3, by = "magnitude")), list(count = 3, by = "magnitude"))
  expect_error(inside$wire_subnetwork(c(1, 2.5)), "from 1 on", class = "laplace_error_option")
})

test_that("the same seed gives the same curvature and set.seed() is honoured", {
  la <- cars_fit()
  set.seed(5)
  one <- predict(la, scaled_cars, type = "samples", n_samples = 3)
  after <- runif(1)
  set.seed(5)
  expect_identical(predict(la, scaled_cars, type = "samples", n_samples = 3), one)
  expect_identical(runif(1), after)
  state <- .Random.seed
  expect_identical(
    predict(la, scaled_cars, type = "samples", n_samples = 3, seed = 9),
    predict(la, scaled_cars, type = "samples", n_samples = 3, seed = 9)
  )
  predict(la, scaled_cars)
  expect_identical(.Random.seed, state)
})

test_that("saveRDS and readRDS, in this session, in another, and after the server's end", {
  la <- iris_fit()
  path <- tempfile(fileext = ".rds")
  saveRDS(la, path)
  wanted <- predict(la, iris[1:5, ])
  expect_identical(predict(readRDS(path), iris[1:5, ]), wanted)
  close(laplace_server())
  expect_identical(predict(la, iris[1:5, ]), wanted)
  expect_identical(predict(readRDS(path), iris[1:5, ]), wanted)
  result <- tempfile(fileext = ".rds")
  script <- tempfile(fileext = ".R")
  writeLines(c(
    sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")), "library(polylaplace)",
    sprintf("saveRDS(predict(readRDS('%s'), iris[1:5, ]), '%s')", path, result)
  ), script)
  expect_identical(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script)), 0L)
  expect_identical(readRDS(result), wanted)
})

test_that("fitted objects work in forked children and after a crash", {
  skip_on_os("windows")
  la <- iris_fit()
  wanted <- predict(la, iris[1:5, ])
  children <- parallel::mclapply(1:2, function(index) {
    result <- predict(la, iris[1:5, ])
    close(laplace_server())
    result
  }, mc.cores = 2)
  for (child in children) expect_identical(child, wanted)
  tools::pskill(laplace_server()$transport$pid(), tools::SIGKILL)
  expect_error(predict(la, iris[1:5, ]), class = "laplace_error_server_crashed")
  expect_identical(predict(la, iris[1:5, ]), wanted)
})

test_that("posteriors in files", {
  la <- cars_fit()
  path <- tempfile(fileext = ".posterior")
  expect_identical(save_laplace(la, path), path)
  loaded <- load_laplace(path)
  x <- as.matrix(scaled_cars["speed"])
  expect_identical(unname(predict(loaded, x)), unname(predict(la, scaled_cars)))
  expect_error(predict(loaded), "newdata", class = "laplace_error_state")
  expect_error(update(loaded), class = "laplace_error_state")
  save_laplace(la, path, network = FALSE)
  expect_error(load_laplace(path), class = "laplace_error")
  expect_identical(unname(predict(load_laplace(path, model = cars_net()), x)), unname(predict(la, scaled_cars)))
  classes <- save_laplace(iris_fit(), tempfile())
  expect_identical(
    predict(load_laplace(classes, levels = levels(iris$Species)), as.matrix(iris[1:4]), type = "class"),
    predict(iris_fit(), iris, type = "class")
  )
})

test_that("update fits again", {
  la <- cars_fit()
  expect_identical(suppressMessages(update(la, structure = "diag"))$structure, "diag")
  expect_equal(suppressMessages(update(la))$log_marginal_likelihood, la$log_marginal_likelihood)
  expect_identical(as.character(update(la, structure = "diag", evaluate = FALSE)$structure), "diag")
  two <- laplace(Species ~ ., iris, model = iris_net())
  expect_identical(nobs(update(two, data = iris[-1, ])), 149)
})

test_that("large data goes in batches and gives the same", {
  la <- iris_fit()
  x <- as.matrix(iris[1:4])
  batches <- inside$row_batches(x, 1000)
  expect_identical(unlist(batches), 1:150)
  expect_gt(length(batches), 3)
  server <- laplace_server()
  params <- list(
    model = inside$request(server, "readNetwork", inside$network_params(iris_net()))$handle,
    options = inside$wire_options(list(), "classification")
  )
  fitted <- inside$fit_in_batches(
    server, params, x, inside$as_wire_array(as.double(iris$Species) - 1), list(), bytes = 1000
  )
  expect_equal(fitted$summary$priorPrecision, la$prior_precision)
  expect_equal(fitted$summary$logMarginalLikelihood, la$log_marginal_likelihood)
  parts <- lapply(
    batches, function(rows) inside$predicted(la, x[rows, , drop = FALSE], list())
  )
  expect_equal(inside$bound(parts)$probabilities, unname(predict(la, iris)))
})

test_that("a network goes with the data of its fit, or before where they are large", {
  small <- iris_fit()
  large <- laplace(iris_net(), iris[rep(1:150, 250), 1:4], iris$Species[rep(1:150, 250)], prior_precision = 1)
  expect_gt(length(large$x) * 8, inside$ONE_MESSAGE)
  expect_identical(small$digest, large$digest)
  expect_equal(large$nobs, 37500)
})

test_that("R8: the same seed gives the same bytes in R and in Node", {
  la <- iris_fit()
  index <- repository_file("dist", "index.js")
  skip_if(!file.exists(index), "dist is missing: npm run build:js")
  posterior <- save_laplace(la, tempfile(fileext = ".posterior"))
  result <- tempfile()
  script <- tempfile(fileext = ".mjs")
  writeLines(c(
    "import { readFileSync, writeFileSync } from 'node:fs'",
    sprintf("const { loadPosterior } = await import('file://%s')", normalizePath(index)),
    sprintf("const posterior = await loadPosterior(readFileSync('%s'))", posterior),
    "const { data } = posterior.sample(20, { seed: 7 })",
    sprintf("writeFileSync('%s', new Uint8Array(data.buffer, data.byteOffset, data.byteLength))", result)
  ), script)
  expect_identical(system2(inside$find_node(), script), 0L)
  samples <- inside$ask(la, "sample", list(samples = 20, seed = 7))$samples
  expect_identical(writeBin(as.vector(t(samples)), raw(), endian = "little"), readBin(result, "raw", 1e6))
})

test_that("a soak: many fits and predictions leave nothing behind", {
  la <- cars_fit()
  server <- laplace_server()
  x <- as.matrix(scaled_cars["speed"])
  some <- function(count) {
    for (index in seq_len(count)) {
      fitted <- laplace(cars_net(), x, scaled_cars$dist, prior_precision = 1, sigma_noise = 0.3)
      predict(fitted, x)
    }
    rm(fitted)
    gc()
    inside$request(server, "ping")
    inside$request(server, "stats")
  }
  before <- some(20)
  held <- sum(gc()[, 2])
  after <- some(200)
  expect_lte(length(after$handles), length(before$handles) + 3)
  expect_lt(sum(gc()[, 2]) - held, 20)
  expect_lt(after$rss - before$rss, 80 * 2^20)
})

test_that("an empty level of the response keeps its place among the network's outputs", {
  without <- iris[iris$Species != "versicolor", ]
  data <- inside$formula_data(Species ~ ., without, stats::na.omit)
  expect_identical(levels(data$y), levels(iris$Species))
  expect_message(response <- inside$as_response(data$y, "classification"), "versicolor.*droplevels")
  expect_identical(sort(unique(response$y)), c(0, 2))
  expect_identical(response$levels, levels(iris$Species))
})

test_that("class numbers may be one a position", {
  y <- matrix(c(0, 2, 1, -100, 1, 1), 2)
  expect_identical(inside$as_response(y, "classification")$y, y)
  expect_error(inside$as_response(diag(3), "classification"), class = "laplace_error_data")
})
