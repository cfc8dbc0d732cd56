# The examples of the README and of docs/distributed.md are run as they stand.

#' The lines of each block of R in a page.
r_blocks <- function(page) {
  lines <- readLines(page)
  fences <- grep("^```", lines)
  stopifnot(length(fences) %% 2 == 0)
  starts <- fences[c(TRUE, FALSE)]
  ends <- fences[c(FALSE, TRUE)]
  run <- which(lines[starts] == "```r")
  Map(function(start, end) lines[(start + 1):(end - 1)], starts[run], ends[run])
}

test_that("the README's examples run, and give error bars", {
  skip_without_node()
  skip_if_not_installed("nnet")
  blocks <- r_blocks(repository_file("clients", "r", "README.md"))
  expect_gte(length(blocks), 4)
  code <- unlist(blocks)
  picture <- tempfile(fileext = ".pdf")
  grDevices::pdf(picture)
  values <- new.env(parent = globalenv())
  # What the examples write does not stay.
  folder <- setwd(tempdir())
  on.exit(setwd(folder))
  output <- utils::capture.output(suppressMessages(source(textConnection(code), local = values, echo = TRUE)))
  grDevices::dev.off()
  expect_match(output, "Everything that is needed is there", all = FALSE)
  expect_s3_class(values$la, "laplace")
  expect_gt(file.size(picture), 3000)
})

test_that("the script of docs/distributed.md runs on workers of package future", {
  skip_without_node()
  skip_if_not_installed("future.apply")
  code <- r_blocks(repository_file("docs", "distributed.md"))
  expect_length(code, 1)
  # Forked workers find the package where this session has it.
  code <- sub("\"multisession\"", "\"multicore\"", code[[1]], fixed = TRUE)
  values <- new.env(parent = globalenv())
  old <- future::plan()
  on.exit(future::plan(old))
  output <- utils::capture.output(suppressWarnings(source(textConnection(code), local = values)))
  expect_match(output, "upper", all = FALSE)
  expect_length(dir(file.path(tempdir(), "sums"), "[.]partial$"), 4)
})
