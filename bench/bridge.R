# What the pipe between R and the server costs: start-up, round trips, throughput; the figures of bench/bridge.py, and
# those that R users meet.
#
#     Rscript bench/bridge.R [--json FILE] [--quick]
#
# Run it with the package installed (R CMD INSTALL clients/r after `npm run build`). Goals: first fit within 200 ms,
# server start included; predict of one row within 3 ms beyond its computation. What a predict costs beyond its
# computation is measured by a call that takes the same way and computes nothing: the log density of rows of the same
# size, refused for its shape. The best of many runs is shown beside the median.

suppressPackageStartupMessages(library(polylaplace))
inside <- asNamespace("polylaplace")
words <- commandArgs(trailingOnly = TRUE)
quick <- "--quick" %in% words
rounds <- if (quick) 50 else 500
megabytes <- if (quick) 20 else 100
figures <- list()

# Milliseconds that something takes.
timed <- function(code) {
  start <- Sys.time()
  force(code)
  1000 * as.double(Sys.time() - start, units = "secs")
}

# Each of several runs; `work` is a function.
times <- function(count, work) vapply(seq_len(count), function(run) timed(work()), 0)

note <- function(name, values, best = min) {
  figures[[paste(name, "(median)")]] <<- stats::median(values)
  figures[[paste(name, "(best)")]] <<- best(values)
}

refused <- function(code) tryCatch(code, laplace_error = function(condition) NULL)

set.seed(1)
net <- nnet::nnet(Species ~ ., iris, size = 4, decay = 0.01, trace = FALSE)
server <- laplace_server()

from_nothing <- function(work) vapply(seq_len(if (quick) 3 else 10), function(run) {
  close(server)
  timed(work())
}, 0)
note("first answer, ms", from_nothing(function() inside$request(server, "ping")))
note("first fit, ms", from_nothing(function() laplace(net)))
note("fit, ms", times(if (quick) 5 else 50, function() laplace(net)))
note("ping, ms", times(rounds, function() inside$request(server, "ping")))

bulk <- as.raw(rep(0, megabytes * 1e6))
throughput <- function() refused(inside$request(server, "load", list(data = bulk)))
invisible(throughput())
note(sprintf("%d MB of input, MB/s", megabytes), 1000 * megabytes / times(if (quick) 3 else 9, throughput), max)

la <- laplace(net)
one <- iris[1, ]
ten <- as.matrix(iris[1:10, 1:4])
invisible(predict(la, one))
note(
  "predict without its computation, ms",
  times(rounds, function() refused(inside$ask(la, "logProb", list(theta = inside$as_wire_array(ten)))))
)
note("predict of 1 row, ms", times(rounds, function() predict(la, one)))
note("predict of 10 rows, ms", times(rounds, function() predict(la, ten)))
close(server)

for (name in names(figures)) cat(sprintf("%-46s %10.3f\n", name, figures[[name]]))
if ("--json" %in% words) {
  entries <- sprintf(' "%s": %s', names(figures), vapply(figures, format, "", digits = 15))
  writeLines(c("{", paste(entries, collapse = ",\n"), "}"), words[match("--json", words) + 1])
}
