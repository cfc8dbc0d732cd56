# A small JSON reader, for architecture files: base R has none.

#' The value of a JSON text: objects as named lists, arrays as lists, null as NULL.
#' @noRd
parse_json <- function(text) {
  pattern <- "\"(?:[^\"\\\\]|\\\\.)*\"|-?[0-9]+(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|[][{},:]|[^\\s]"
  tokens <- new.env(parent = emptyenv())
  tokens$words <- regmatches(text, gregexpr(pattern, text, perl = TRUE))[[1]]
  tokens$at <- 1L
  value <- json_value(tokens)
  if (tokens$at <= length(tokens$words)) json_stop(tokens)
  value
}

json_stop <- function(tokens) {
  word <- if (tokens$at > length(tokens$words)) "the end" else sprintf("'%s'", tokens$words[tokens$at])
  laplace_stop(sprintf("This is not JSON: unexpected %s.", word), "UNTRUSTED_INPUT")
}

json_next <- function(tokens, expected = NULL) {
  if (tokens$at > length(tokens$words)) json_stop(tokens)
  word <- tokens$words[tokens$at]
  if (!is.null(expected) && word != expected) json_stop(tokens)
  tokens$at <- tokens$at + 1L
  word
}

json_peek <- function(tokens) if (tokens$at > length(tokens$words)) "" else tokens$words[tokens$at]

json_value <- function(tokens) {
  word <- json_next(tokens)
  first <- substr(word, 1, 1)
  if (word == "{") return(json_items(tokens, "}", named = TRUE))
  if (word == "[") return(json_items(tokens, "]", named = FALSE))
  if (first == "\"" && nchar(word) > 1) return(json_text(word))
  if (grepl("^-?[0-9]", word)) return(as.double(word))
  if (word == "null") return(NULL)
  if (word %in% c("true", "false")) return(word == "true")
  tokens$at <- tokens$at - 1L
  json_stop(tokens)
}

json_items <- function(tokens, end, named) {
  items <- list()
  keys <- character()
  while (json_peek(tokens) != end) {
    if (length(items) > 0) json_next(tokens, ",")
    if (named) keys[length(keys) + 1L] <- json_key(tokens)
    items[length(items) + 1L] <- list(json_value(tokens))
  }
  json_next(tokens, end)
  if (named) names(items) <- keys
  items
}

json_key <- function(tokens) {
  word <- json_next(tokens)
  if (substr(word, 1, 1) != "\"") {
    tokens$at <- tokens$at - 1L
    json_stop(tokens)
  }
  json_next(tokens, ":")
  json_text(word)
}

json_text <- function(word) {
  text <- substr(word, 2, nchar(word) - 1)
  if (!grepl("\\", text, fixed = TRUE)) return(text)
  # A pair of surrogates is one character.
  escapes <- gregexpr("\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\\\u[0-9a-fA-F]{4}|\\\\.", text)
  regmatches(text, escapes) <- lapply(regmatches(text, escapes), function(found) vapply(found, json_escape, ""))
  text
}

json_escape <- function(escape) {
  letter <- substr(escape, 2, 2)
  if (letter == "u") {
    return(
      intToUtf8(strtoi(strsplit(substring(escape, 3), "\\u", fixed = TRUE)[[1]], 16L), allow_surrogate_pairs = TRUE)
    )
  }
  switch(letter, b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", letter)
}
