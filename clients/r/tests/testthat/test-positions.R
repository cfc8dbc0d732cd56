# Networks that answer at several positions of an example.

# A network of 11 words and 4 labels a word, with 30 examples of 5 words.
tagged_words <- function(seed) {
  set.seed(seed)
  list(
    network = list(
      "words.weight" = matrix(stats::rnorm(33), 11), "head.weight" = matrix(stats::rnorm(12), 4),
      "head.bias" = numeric(4)
    ),
    layers = list(list(type = "Embedding", name = "words"), list(type = "Linear", name = "head")),
    tokens = matrix(sample(0:10, 150, TRUE), 30),
    labels = matrix(sample(0:3, 150, TRUE), 30)
  )
}

test_that("classes, probabilities and labels are one a position", {
  skip_without_node()
  list2env(tagged_words(7), environment())
  labels[1, 2] <- -100
  la <- suppressWarnings(suppressMessages(laplace(
    network, tokens, labels, likelihood = "classification", subset = "last_layer", architecture = layers
  )))
  probabilities <- predict(la, tokens[1:3, ], type = "prob")
  expect_equal(dim(probabilities), c(3, 5, 4))
  classes <- predict(la, tokens[1:3, ], type = "class")
  expect_equal(dim(classes), c(3, 5))
  expect_equal(classes, apply(probabilities, 1:2, which.max) - 1)
  expect_error(
    laplace(network, tokens, labels[, 1], likelihood = "classification", architecture = layers), "positions"
  )
})

test_that("a mask leaves labels out as -100 does, and may cover missing ones", {
  skip_without_node()
  list2env(tagged_words(8), environment())
  counts <- matrix(stats::runif(150) > 0.2, 30)
  fitted <- function(labels, ...) suppressWarnings(suppressMessages(laplace(
    network, tokens, labels, likelihood = "classification", subset = "last_layer", structure = "kron",
    prior_precision = 1, architecture = layers, ...
  )))
  expected <- predict(fitted(replace(labels, !counts, -100)), tokens, type = "prob")
  expect_equal(predict(fitted(labels, mask = counts), tokens, type = "prob"), expected)
  expect_equal(predict(fitted(replace(labels, !counts, NA), mask = counts), tokens, type = "prob"), expected)
  expect_false(isTRUE(all.equal(predict(fitted(labels), tokens, type = "prob"), expected)))
  expect_error(fitted(labels, mask = counts[, 1]), "mask")
})
