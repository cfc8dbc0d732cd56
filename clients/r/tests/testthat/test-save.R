# 54 of the list of attacks: a save that is cut off leaves the old file whole, and R says so.

writer_code <- function(path, size) {
  save <- deparse(inside$write_whole)
  sync <- deparse(inside$sync_file)
  stopper <- "laplace_stop <- function(message, code, data) stop(message)"
  c(
    paste("write_whole <-", paste(save, collapse = "\n")), paste("sync_file <-", paste(sync, collapse = "\n")), stopper,
    sprintf("path <- %s; size <- %d", deparse(path), size)
  )
}

test_that("54 a kill leaves the old file whole", {
  skip_on_os("windows")
  path <- tempfile(fileext = ".posterior")
  writeBin(as.raw(rep(255, 1e6)), path)
  script <- tempfile(fileext = ".R")
  loop <- "for (value in rep(1:250, 1000)) write_whole(as.raw(rep(value, size)), path)"
  writeLines(c(writer_code(path, 1e6), "cat(Sys.getpid(), file = paste0(path, '.pid'))", loop), script)
  for (attempt in seq_len(as.integer(Sys.getenv("POLYLAPLACE_KILLS", "3")))) {
    unlink(paste0(path, ".pid"))
    system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)), wait = FALSE, stdout = FALSE)
    while (!file.exists(paste0(path, ".pid")) || !file.size(paste0(path, ".pid"))) Sys.sleep(0.02)
    Sys.sleep(0.1 + 0.02 * attempt)
    tools::pskill(as.integer(readLines(paste0(path, ".pid"), warn = FALSE)), 9L)
    Sys.sleep(0.05)
    data <- readBin(path, raw(), 2e6)
    expect_length(data, 1e6)
    expect_true(all(data == data[1]))
  }
})

test_that("54 what cannot be written is an error, and the old file stays", {
  skip_on_os("windows")
  expect_error(inside$write_whole(as.raw(1:9), file.path(tempfile(), "x")), class = "laplace_error_resource")
  path <- tempfile(fileext = ".posterior")
  writeBin(as.raw(1:3), path)
  inside$write_whole(as.raw(1:9), path)
  expect_identical(readBin(path, raw(), 99), as.raw(1:9))
  Sys.chmod(path, "600", use_umask = FALSE)
  inside$write_whole(as.raw(1:5), path)
  expect_identical(format(file.mode(path)), "600")
})

test_that("54 a disk that is full is an error, and the old file stays", {
  skip_on_os("windows")
  folder <- tempfile("disk")
  dir.create(folder)
  mounted <- suppressWarnings(
    system2("mount", c("-t", "tmpfs", "-o", "size=1m", "none", folder), stdout = FALSE, stderr = FALSE)
  )
  skip_if(mounted != 0, "only root can make a small disk")
  on.exit(system2("umount", folder))
  path <- file.path(folder, "x.posterior")
  writeBin(as.raw(1:3), path)
  expect_error(inside$write_whole(raw(5e6), path), "disk is full", class = "laplace_error_resource")
  expect_identical(readBin(path, raw(), 99), as.raw(1:3))
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "x.posterior")
})
