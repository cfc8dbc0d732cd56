# The examples of the README are run as they stand.

test_that("the README's examples run, and give error bars", {
  skip_without_node()
  skip_if_not_installed("nnet")
  lines <- readLines(repository_file("clients", "r", "README.md"))
  fences <- grep("^```", lines)
  expect_identical(length(fences) %% 2L, 0L)
  starts <- fences[c(TRUE, FALSE)]
  ends <- fences[c(FALSE, TRUE)]
  run <- which(lines[starts] == "```r")
  expect_gte(length(run), 4)
  code <- unlist(Map(function(start, end) lines[(start + 1):(end - 1)], starts[run], ends[run]))
  picture <- tempfile(fileext = ".pdf")
  grDevices::pdf(picture)
  values <- new.env(parent = globalenv())
  output <- utils::capture.output(suppressMessages(source(textConnection(code), local = values, echo = TRUE)))
  grDevices::dev.off()
  expect_match(output, "Everything that is needed is there", all = FALSE)
  expect_s3_class(values$la, "laplace")
  expect_gt(file.size(picture), 3000)
})
