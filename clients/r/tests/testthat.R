library(testthat)
library(polylaplace)

# File by file, so that one that hangs is known; without a line for every tenth of a second.
test_check("polylaplace", reporter = ProgressReporter$new(update_interval = 600))
