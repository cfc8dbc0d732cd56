# The faults of testthat/helper-faults.R in full, as `npm run faults` does them: Rscript faults.R NAME TIMES prints how
# many calls ended in which way.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
suppressMessages(library(polylaplace))
inside <- asNamespace("polylaplace")
source(file.path(folder, "helper-faults.R"))
times <- as.integer(arguments[2])
told <- switch(arguments[1],
  `ctrl-c` = interrupt_often(times),
  `kill-9` = kill_often(times),
  processes = fork_many(times, TRUE),
  `processes-unstarted` = fork_many(times, FALSE)
)
words <- substr(gsub("[\"\\\\\n]", " ", names(told$ends)), 1, 80)
cat(sprintf("{\"ends\": {%s}}\n", paste0("\"", words, "\": ", told$ends, collapse = ", ")))
