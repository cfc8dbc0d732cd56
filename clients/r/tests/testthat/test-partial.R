# Partial fits: they add up to the whole, count each chunk once, and run on workers of package future.

set.seed(4)
numbers <- matrix(stats::rnorm(120), 40)
targets <- numbers %*% c(1, -1, 0.5) + stats::rnorm(40) / 5
weights <- list(
  "0.weight" = matrix(stats::rnorm(12), 4), "0.bias" = stats::rnorm(4),
  "2.weight" = matrix(stats::rnorm(4), 1), "2.bias" = 0
)
halves <- list(1:25, 26:40)
sums <- function(rows, ..., chunk = NULL) {
  fit_partial(
    weights, numbers[rows, ], targets[rows, ], "regression",
    activation = "tanh", prior_precision = 1, sigma_noise = 0.3, ..., chunk = chunk
  )
}
merged <- function(partial, ...) {
  fit_merged(weights, partial, "regression", activation = "tanh", prior_precision = 1, sigma_noise = 0.3, ...)
}

test_that("partial fits add up to the fit of all rows", {
  skip_without_node()
  for (structure in c("kron", "full", "diag")) {
    whole <- laplace(
      weights, numbers, targets, "regression", "all", structure, activation = "tanh", prior_precision = 1,
      sigma_noise = 0.3
    )
    parts <- lapply(halves, sums, subset = "all", structure = structure)
    la <- merged(unserialize(serialize(parts[[1]], NULL)) + parts[[2]], subset = "all", structure = structure)
    expect_equal(la$log_marginal_likelihood, whole$log_marginal_likelihood, tolerance = 1e-10)
    expect_equal(predict(la, numbers, type = "link"), predict(whole, numbers, type = "link"), tolerance = 1e-10)
    expect_equal(la$nobs, 40)
  }
})

test_that("a chunk counts once", {
  skip_without_node()
  parts <- lapply(halves, sums)
  total <- merge_partials(parts)
  expect_length(total$chunks, 2)
  expect_error(total + parts[[1]], "count twice", class = "laplace_error_state")
  expect_identical(merge_partials(c(rev(parts), parts[1]), "skip"), total)
  expect_equal((total + sums(halves[[1]], chunk = "others that are equal"))$n, 65)
  other <- sums(halves[[2]], structure = "diag")
  expect_error(parts[[1]] + other, "structure '(kron|diag)'", class = "laplace_error_state")
  expect_error(merge_partials(list()), class = "laplace_error_data")
  expect_output(print(total), "40 rows, 2 chunks")
})

test_that("a break is gone on from, and a part that fails is named", {
  skip_without_node()
  skip_if_not_installed("future.apply")
  old <- future::plan("sequential")
  on.exit(future::plan(old))
  folder <- tempfile()
  rows <- split(1:40, rep(1:4, each = 10))
  times <- rep(0:3, 10)
  parts <- lapply(rows, function(own) list(x = numbers[own, ], y = targets[own, ], weights = times[own]))
  run <- function(parts) {
    fit_future(
      weights, unname(parts), "regression", activation = "tanh", prior_precision = 1, sigma_noise = 0.3,
      checkpoint = folder
    )
  }
  broken <- replace(parts, 3, list(function() stop("a broken disk")))
  expect_error(run(broken), "In part 3: a broken disk", fixed = TRUE)
  before <- file.info(dir(folder, "[.]partial$", full.names = TRUE))
  expect_equal(nrow(before), 2)
  la <- suppressWarnings(run(parts))
  expect_equal(file.info(rownames(before))$mtime, before$mtime)
  expect_length(dir(folder, "[.]partial$"), 4)
  repeated <- rep(1:40, times)
  whole <- suppressWarnings(merged(sums(repeated)))
  expect_equal(la$log_marginal_likelihood, whole$log_marginal_likelihood, tolerance = 1e-10)
  parts[[2]]$y <- parts[[2]]$y[-1]
  expect_error(run(parts), "In part 2: ", class = "laplace_error_shape")
  expect_error(probe_worker(1, "0.0.1", NULL), "Worker .* has polylaplace", class = "laplace_error_state")
  expect_error(
    probe_worker(1, package_version_text(), list(folder = folder, token = "another")), "does not see the checkpoint",
    class = "laplace_error_state"
  )
})

test_that("the workers of a plan sum up the parts", {
  skip_without_node()
  skip_if_not_installed("future.apply")
  old <- future::plan("multicore", workers = 2)
  on.exit(future::plan(old))
  rows <- split(1:40, rep(1:20, each = 2))
  parts <- c(
    lapply(rows, function(own) list(x = numbers[own, ], y = targets[own, ])),
    list(function() list(x = numbers[0, ], y = targets[0, ]))
  )
  la <- fit_future(
    weights, parts, "regression", activation = "tanh", prior_precision = 1, sigma_noise = 0.3
  )
  expect_equal(la$log_marginal_likelihood, merged(sums(1:40))$log_marginal_likelihood, tolerance = 1e-10)
})
