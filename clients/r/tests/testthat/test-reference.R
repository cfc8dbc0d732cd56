# The reference numbers for R's own networks, and for the files of other libraries, to 1e-6 of the largest entry.

cases <- c("nnet-iris-softmax", "nnet-iris-binary", "nnet-regression-linout")

case_of <- function(name) {
  skip_without_node()
  skip_if_not_installed("nnet")
  folder <- repository_file("test", "fixtures", "cases", name)
  data <- read_json("test", "fixtures", "cases", name, "data.json")
  expected <- read_json("test", "fixtures", "cases", name, "expected.json")
  list(
    folder = folder, expected = expected, fit = readRDS(file.path(folder, "nnet.rds")),
    likelihood = expected$likelihood,
    x = fixture_array(data$x), y = fixture_array(data$y), x_test = fixture_array(data$x_test)
  )
}

prior_of <- function(setting) {
  if (is.list(setting$prior_precision)) fixture_array(setting$prior_precision) else setting$prior_precision
}

compare_setting <- function(case, network, run, setting, ...) {
  la <- laplace(
    network, case$x, case$y, likelihood = case$likelihood, subset = run$subset, structure = run$structure,
    prior_precision = prior_of(setting),
    prior_mean = setting$prior_mean, sigma_noise = setting$sigma_noise, temperature = setting$temperature, ...
  )
  expect_identical(la$parameter_count, run$n_params)
  expect_close(la$log_marginal_likelihood, setting$marglik$log_marginal_likelihood)
  expect_close(la$log_likelihood, setting$marglik$log_likelihood)
  if (!is.null(setting$variance)) {
    expect_close(sqrt(diag(vcov(la)))^2, fixture_array(setting$variance$posterior_variance))
  }
  wanted <- setting$predictive
  if (!is.null(wanted[["f_var"]])) {
    variances <- fixture_array(wanted[["f_var"]])
    diagonal <- vapply(
      seq_len(dim(variances)[2]), function(output) variances[, output, output], numeric(dim(variances)[1])
    )
    expect_close(as.matrix(predict(la, case$x_test, type = "link", se.fit = TRUE)$se.fit)^2, diagonal)
  }
  for (link in intersect(c("probit", "bridge", "bridge_norm"), names(wanted))) {
    expect_close(predict(la, case$x_test, link = link), fixture_array(wanted[[link]]))
  }
  la
}

runs_of <- function(case) {
  compared <- function(run) {
    run$curvature == "ggn" && run$structure %in% c("kron", "full", "diag") && run$subset %in% c("last_layer", "all")
  }
  Filter(compared, case$expected$runs)
}

for (name in cases) {
  test_that(paste(name, "agrees in every setting"), {
    case <- case_of(name)
    runs <- runs_of(case)
    expect_gte(length(runs), 6)
    for (run in runs) for (setting in run$settings) la <- compare_setting(case, case$fit, run, setting)
    expect_close(predict(la, case$x_test, type = "link"), fixture_array(case$expected$f$x_test))
    expect_close(
      coef(laplace(case$fit, case$x, case$y, subset = "all", prior_precision = 1)), fixture_array(case$expected$theta)
    )
  })

  test_that(paste(name, "is tuned to the optimum of the marginal likelihood"), {
    case <- case_of(name)
    for (run in runs_of(case)) {
      optimum <- run$tuned$scalar$optimum
      if (case$likelihood == "regression") next
      la <- laplace(case$fit, case$x, case$y, subset = run$subset, structure = run$structure, tune = "marglik")
      expect_close(la$log_marginal_likelihood, optimum$log_marginal_likelihood)
      expect_close(la$prior_precision, optimum$delta, 1e-5)
    }
    if (case$likelihood == "regression") {
      optimum <- case$expected$runs[[1]]$tuned$delta_and_sigma$optimum
      la <- laplace(case$fit, case$x, case$y, tune = "marglik")
      expect_close(la$log_marginal_likelihood, optimum$log_marginal_likelihood)
      expect_close(la$sigma_noise, optimum$sigma_noise, 1e-5)
    }
  })
}

test_that("tuning by the linearised evidence agrees with it", {
  values <- read_json("test", "fixtures", "linearized.json")$values
  for (name in cases[1:2]) {
    case <- case_of(name)
    for (structure in c("kron", "full", "diag")) {
      wanted <- values[[name]][[structure]]
      la <- laplace(case$fit, case$x, case$y, structure = structure, tune = "linearized")
      expect_close(la$prior_precision, wanted$prior_precision)
      expect_close(
        as.matrix(predict(la, case$x_test, type = "link", se.fit = TRUE)$se.fit)^2, fixture_array(wanted$f_var_diag)
      )
      expect_close(predict(la, case$x_test), fixture_array(wanted$probit))
    }
  }
})

test_that("model files, their bytes and bare weights give the same numbers", {
  case <- case_of("nnet-iris-softmax")
  run <- runs_of(case)[[1]]
  setting <- run$settings[[1]]
  onnx <- file.path(case$folder, "model.onnx")
  architecture <- file.path(case$folder, "architecture.json")
  compare_setting(case, onnx, run, setting)
  compare_setting(case, readBin(onnx, "raw", file.size(onnx)), run, setting)
  compare_setting(case, file.path(case$folder, "model.safetensors"), run, setting, architecture = architecture)
  compare_setting(case, file.path(case$folder, "model.pt"), run, setting, architecture = architecture)
  theta <- fixture_array(case$expected$theta)
  weights <- lapply(case$expected$parameters, function(parameter) {
    shape <- unlist(parameter$shape)
    values <- theta[parameter$offset + seq_len(prod(shape))]
    if (length(shape) == 2) matrix(values, shape[1], shape[2], byrow = TRUE) else values
  })
  names(weights) <- vapply(case$expected$parameters, function(parameter) parameter$name, "")
  compare_setting(case, weights, run, setting, architecture = architecture)
  compare_setting(
    case, weights, run, setting,
    architecture = list(list(type = "Linear", name = "0"), list(type = "Sigmoid"), list(type = "Linear", name = "2"))
  )
  expect_error(laplace(weights, case$x, case$y, likelihood = "classification"), "ctivation", class = "laplace_error")
  expect_error(
    laplace(unname(weights), case$x, case$y, likelihood = "classification"), "name", class = "laplace_error_data"
  )
  expect_error(laplace(onnx, case$x, case$y), "`likelihood` must be given", class = "laplace_error_option")
  expect_error(
    laplace(dirname(onnx), case$x, case$y, likelihood = "classification"), "folder", class = "laplace_error_option"
  )
  expect_error(
    laplace("no-such-file.onnx", case$x, case$y, likelihood = "classification"), "no file",
    class = "laplace_error_option"
  )
  expect_error(
    laplace(as.raw(1:50), case$x, case$y, likelihood = "classification"), class = "laplace_error_untrusted_input"
  )
})

test_that("images as arrays", {
  skip_without_node()
  folder <- repository_file("test", "fixtures", "cases", "cnn")
  expected <- read_json("test", "fixtures", "cases", "cnn", "expected.json")
  data_file <- file.path(folder, "data.json")
  skip_if(!file.exists(data_file), "the data of this case is in a binary file")
  data <- read_json("test", "fixtures", "cases", "cnn", "data.json")
  x <- fixture_array(data$x_test)
  la <- laplace(
    file.path(folder, "model.onnx"), fixture_array(data$x), fixture_array(data$y), likelihood = expected$likelihood,
    prior_precision = 1
  )
  expect_close(predict(la, x, type = "link"), fixture_array(expected$f$x_test))
})
