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
  damaged <- rownames(before)[[1]]
  writeBin(readBin(damaged, raw(), 99), damaged)
  told <- paste0(basename(damaged), " is damaged: .*Remove it")
  expect_error(run(parts), told, class = "laplace_error_untrusted_input")
  unlink(damaged)
  parts[[2]]$y <- parts[[2]]$y[-1]
  expect_error(run(parts), "In part 2: ", class = "laplace_error_shape")
  folder <- dir(folder, "[.]partial$", full.names = TRUE)[[1]]
  expect_error(run(parts), "`checkpoint` must be a folder that can be written to", class = "laplace_error_option")
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
  told <- character()
  run <- function(parts) {
    fit_future(
      weights, parts, "regression", activation = "tanh", prior_precision = 1, sigma_noise = 0.3,
      progress = function(stage, done, total, message) told <<- c(told, message)
    )
  }
  la <- run(parts)
  expect_equal(la$log_marginal_likelihood, merged(sums(1:40))$log_marginal_likelihood, tolerance = 1e-10)
  # 20 sums come, all of them go out once more to two workers, and 2 come back.
  size <- length(sums(1:2)$data)
  expect_match(told, "^19 merges, [0-9]+ bytes over the network$", all = FALSE)
  moved <- as.double(sub(".*, ([0-9]+) bytes.*", "\\1", grep("merges", told, value = TRUE)))
  expect_true(moved >= 42 * size && moved < 50 * size)
  # Not a bit depends on how parts are numbered.
  expect_identical(predict(run(rev(parts)), numbers, se.fit = TRUE), predict(la, numbers, se.fit = TRUE))
})

test_that("what tunes by rows reads them where they lie, and finds what one machine finds", {
  skip_without_node()
  skip_if_not_installed("future.apply")
  old <- future::plan("multicore", workers = 2)
  on.exit(future::plan(old))
  times <- rep(0:3, 10)
  cut <- function(rows, x, y) {
    lapply(unname(rows), function(own) list(x = x[own, ], y = y[own], weights = times[own]))
  }
  species <- cut(split(1:40, rep(1:4, each = 10)), numbers, factor(c("a", "b"))[1 + (targets > 0)])
  values <- cut(split(1:40, rep(1:3, c(15, 20, 5))), numbers, targets)
  two <- replace(weights, c("2.weight", "2.bias"), list(matrix(stats::rnorm(8), 2), numeric(2)))
  held <- list(x = numbers[1:12, ], y = targets[1:12])
  repeated <- rep(1:40, times)
  fits <- function(object, parts, y, likelihood, ...) {
    list(
      suppressWarnings(fit_future(object, parts, likelihood, activation = "tanh", ...)),
      suppressWarnings(laplace(
        object, numbers[repeated, ], y[repeated], likelihood, "last_layer", "kron", activation = "tanh", ...
      ))
    )
  }
  for (pair in list(
    fits(two, species, factor(c("a", "b"))[1 + (targets > 0)], "classification"),
    fits(weights, values, targets, "regression"),
    fits(weights, values, targets, "regression", tune = "linearized"),
    fits(weights, values, targets, "regression", tune = "validated", validation = held)
  )) {
    expect_identical(pair[[1]]$tuned, pair[[2]]$tuned)
    expect_equal(pair[[1]]$prior_precision, pair[[2]]$prior_precision, tolerance = 1e-7)
    expect_equal(pair[[1]]$sigma_noise, pair[[2]]$sigma_noise, tolerance = 1e-7)
    expect_equal(
      unlist(predict(pair[[1]], numbers, se.fit = TRUE)), unlist(predict(pair[[2]], numbers, se.fit = TRUE)),
      tolerance = 1e-7
    )
  }
  set.seed(3)
  before <- .Random.seed
  few <- function(parts) {
    expect_warning(
      la <- fit_future(weights, parts, "regression", activation = "tanh", tune = "auto", sample_bytes = 25 * 8 * 4),
      "25 of the 40 rows, drawn by the seed"
    )
    la
  }
  bare <- function(rows) lapply(cut(rows, numbers, targets), function(part) part[c("x", "y")])
  one <- few(bare(split(1:40, rep(1:4, each = 10))))
  expect_identical(.Random.seed, before)
  expect_equal(few(bare(list(1:40)))$prior_precision, one$prior_precision, tolerance = 1e-10)
  # Of some of these parts no row is drawn.
  expect_equal(few(bare(split(1:40, rep(1:20, each = 2))))$prior_precision, one$prior_precision, tolerance = 1e-10)
  never <- list(function() stop("rows were read"))
  refused <- function(words, ...) {
    expect_error(fit_future(weights, never, "regression", ...), words, class = "laplace_error_option")
  }
  refused("`tune` must be one of .*Did you mean \"marglik\"", tune = "margliik")
  refused("give validation = list\\(x = , y = \\)", tune = "validated")
  refused("parts have no share", tune = "grid", validation = 0.1)
  refused("`sample_bytes` must be a number of bytes above 0", sample_bytes = -1)
  expect_error(
    fit_future(
      weights, list(list(x = numbers, y = targets, weights = rep(0.5, 40))), "regression", activation = "tanh"
    ),
    "whole numbers", class = "laplace_error_option"
  )
})

test_that("workers add the columns of predictions, and name the part that fails", {
  skip_without_node()
  skip_if_not_installed("future.apply")
  old <- future::plan("multicore", workers = 2)
  on.exit(future::plan(old))
  la <- merged(sums(1:40))
  rows <- list(1:15, integer(), 16:40)
  whole <- inside$augment.laplace(la, newdata = numbers, interval = "prediction")
  answers <- predict_future(la, lapply(rows, function(own) list(x = numbers[own, ])), interval = "prediction")
  expect_null(answers[[2]])
  expect_equal(do.call(rbind, answers), whole, tolerance = 1e-12)
  folder <- tempfile()
  dir.create(folder)
  files <- predict_future(
    la, lapply(rows, function(own) function() as.data.frame(numbers)[own, ]), write = function(table, number) {
      file <- file.path(folder, paste0(number, ".rds"))
      saveRDS(table, file)
      c(file, Sys.getpid())
    }
  )
  expect_equal(readRDS(files[[3]][1])$.fitted, whole$.fitted[16:40], tolerance = 1e-12)
  expect_false(files[[3]][2] == Sys.getpid())
  expect_error(predict_future(la, list(numbers, numbers[, 1:2])), "^In part 2: ", class = "laplace_error_shape")
  expect_error(predict_future(la, numbers), "must be a list", class = "laplace_error_option")
})

test_that("a worker that is killed loses nothing that was done", {
  skip_without_node()
  skip_if_not_installed("future.apply")
  skip_on_os("windows")
  old <- future::plan("multicore", workers = 2)
  on.exit(future::plan(old))
  folder <- tempfile()
  mark <- tempfile()
  parts <- lapply(unname(split(1:40, rep(1:6, c(10, 10, 5, 5, 5, 5)))), function(own) {
    function() {
      if (own[1] == 21 && !file.exists(mark) && file.create(mark)) tools::pskill(Sys.getpid(), tools::SIGKILL)
      list(x = numbers[own, ], y = targets[own, ])
    }
  })
  run <- function(parts) {
    fit_future(
      weights, parts, "regression", activation = "tanh", prior_precision = 1, sigma_noise = 0.3, checkpoint = folder
    )
  }
  expect_error(suppressWarnings(run(parts)), class = "FutureError")
  expect_true(file.exists(mark))
  before <- file.info(dir(folder, "[.]partial$", full.names = TRUE))
  expect_gt(nrow(before), 0)
  la <- run(parts)
  expect_equal(file.info(rownames(before))$mtime, before$mtime)
  expect_equal(la$log_marginal_likelihood, merged(sums(1:40))$log_marginal_likelihood, tolerance = 1e-10)
  expect_equal(la$nobs, 40)
})
