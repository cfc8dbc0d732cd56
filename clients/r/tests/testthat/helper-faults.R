# Faults that are done to the session's server again and again: test-faults.R does them a few times, `npm run faults` in
# full (faults.R).

small_network <- function() {
  set.seed(1)
  nnet::nnet(Species ~ ., iris, size = 3, decay = 0.05, trace = FALSE)
}

# Lets a shell command run a little later, from outside of R. Returns what tells whether it has. Its time begins when R
# has left system(), which ignores an interrupt: on a busy machine that takes longer than the time.
later <- function(command, seconds) {
  begun <- tempfile()
  marker <- tempfile()
  system(sprintf(
    "(while [ ! -e %s ]; do sleep 0.002; done; sleep %.4f; %s; touch %s) > /dev/null 2>&1 &",
    begun, seconds, command, marker
  ))
  file.create(begun)
  function() inside$happens(function() file.exists(marker), 300)
}

# What the server holds for this session, once the garbage is freed.
held_handles <- function() {
  gc()
  inside$request(laplace_server(), "ping")
  length(inside$request(laplace_server(), "stats")$handles)
}

# Ctrl-C at random instants of fits and predictions: how each call ended, and how many handles more were left.
interrupt_often <- function(times, longest = 0.1) {
  held <- held_handles()
  network <- small_network()
  kept <- suppressMessages(laplace(network))
  before <- predict(kept, iris[1:10, ], type = "prob")
  pid <- laplace_server()$transport$pid()
  ends <- vapply(seq_len(times), function(index) {
    sent <- NULL
    end <- tryCatch(
      {
        sent <- later(sprintf("kill -INT %d", Sys.getpid()), 0.01 + stats::runif(1) * longest)
        repeat predict(suppressMessages(laplace(network)), iris, type = "prob")
      },
      interrupt = function(condition) "interrupted",
      error = function(condition) conditionMessage(condition)
    )
    sent()
    if (!identical(before, predict(kept, iris[1:10, ], type = "prob"))) return("another answer")
    if (!identical(pid, laplace_server()$transport$pid())) return("another server")
    end
  }, "")
  list(ends = table(ends), handles = held_handles() - held)
}

# kill -9 of the server at random instants: how the calls ended, and whether what was fitted and saved is there.
kill_often <- function(times, longest = 0.2) {
  network <- small_network()
  kept <- suppressMessages(laplace(network))
  path <- save_laplace(kept, tempfile(fileext = ".posterior"))
  before <- predict(kept, iris[1:10, ], type = "prob")
  ends <- vapply(seq_len(times), function(index) {
    suppressMessages(laplace(network))
    killed <- later(sprintf("kill -9 %d", laplace_server()$transport$pid()), stats::runif(1) * longest)
    end <- tryCatch(
      repeat predict(suppressMessages(laplace(network)), iris, type = "prob"),
      laplace_error_server_crashed = function(condition) "typed error", error = conditionMessage
    )
    killed()
    # More than three ends a minute are taken for a server that cannot run.
    close(laplace_server())
    if (!identical(before, predict(kept, iris[1:10, ], type = "prob"))) return("another answer")
    loaded <- load_laplace(path, levels = levels(iris$Species))
    features <- as.matrix(iris[1:10, 1:4])
    if (max(abs(unname(predict(loaded, features, type = "prob")) - unname(before))) > 1e-12) return("another file")
    end
  }, "")
  list(ends = table(ends))
}

# Forked processes that fit with the server of their parent, before and after it has been started.
fork_many <- function(times, started) {
  network <- small_network()
  if (started) suppressMessages(laplace(network)) else close(laplace_server())
  ends <- parallel::mclapply(seq_len(times), function(index) {
    tryCatch(
      {
        predict(suppressMessages(laplace(network)), iris, type = "prob")
        close(laplace_server())
        "served"
      },
      error = conditionMessage
    )
  }, mc.cores = times)
  list(ends = table(vapply(ends, function(end) if (is.null(end)) "no answer" else as.character(end), "")))
}
