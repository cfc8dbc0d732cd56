library(testthat)
library(polylaplace)

test_check("polylaplace")
