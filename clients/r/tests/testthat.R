library(testthat)
library(polylaplace)

# File by file, so that one that hangs is known.
test_check("polylaplace", reporter = "progress")
