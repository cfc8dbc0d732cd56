# What a fit chose where nothing was given, and how network and posterior do on the training rows.

#' What was chosen, with R's names; NULL where everything was given.
#' @noRd
choice_of <- function(choice) {
  if (is.null(choice)) return(NULL)
  choice$leaveOneOut <- score_table(choice$leaveOneOut)
  for (name in c("delta", "sigmaNoise")) choice[name] <- list(unlist(choice[[name]]))
  names(choice)[names(choice) == "delta"] <- "priorPrecision"
  snake_names(choice)
}

#' Scores by scale of the variance as a data frame.
#' @noRd
score_table <- function(scores) {
  column <- function(name) vapply(scores, function(score) as.double(score[[name]]), 0)
  data.frame(scale = column("scale"), nll = column("nll"))
}

#' Scores on the training rows: list(rows, network, posterior, leave_one_out_nll), each of network and posterior a named
#' vector; of several outputs of numbers `rmse_1`, `rmse_2`, ... are the errors of each alone.
#' @noRd
training_of <- function(training) {
  if (is.null(training)) return(NULL)
  for (who in c("network", "posterior")) {
    scores <- unlist(training[[who]])
    if (!is.null(scores)) names(scores) <- sub("^rmseByOutput", "rmse_", names(scores))
    training[who] <- list(scores)
  }
  snake_names(training)
}

#' The names of a list, and of the lists in it, as R writes them: leaveOneOutNll is leave_one_out_nll.
#' @noRd
snake_names <- function(values) {
  if (!is.list(values) || is.data.frame(values)) return(values)
  if (!is.null(names(values))) names(values) <- snake(names(values))
  lapply(values, snake_names)
}

snake <- function(words) tolower(gsub("([a-z0-9])([A-Z])", "\\1_\\2", words))

# --- in words ---

#' Lines of the choice: the reason, the explanation, and what the answer is made of.
#' @noRd
choice_lines <- function(choice, digits) {
  if (is.null(choice)) return(character())
  number <- function(value) format(value, digits = digits)
  parts <- c(
    sprintf(
      "%s network%s and %s linear model", share(choice$network_weight),
      if (isTRUE(choice$halfway_weight > 0)) sprintf(", %s halfway", share(choice$halfway_weight)) else "",
      share(choice$linear_weight)
    ),
    if (!is.null(choice$link) && choice$link != "map") {
      sprintf("link %s with s = %s times the variance", choice$link, number(choice$s))
    },
    if (!is.null(choice$r)) sprintf("r = %s", number(choice$r))
  )
  c(
    if (!is.null(choice$reason)) wrapped("Chosen: ", paste0(sub("[.]$", "", choice$reason), ".")),
    if (!is.null(choice$explanation)) wrapped("", choice$explanation),
    wrapped("Answer: ", paste(parts, collapse = "; "))
  )
}

share <- function(weight) sprintf("%s %%", format(100 * weight, digits = 3))

#' Text in lines of the console's width, with a label before it.
#' @noRd
wrapped <- function(label, text) {
  strwrap(paste0(label, text), width = getOption("width"), exdent = if (nzchar(label)) 2 else 0)
}

#' Scores of network and posterior on the training rows, as a data frame with a row each.
#' @noRd
training_scores <- function(training) {
  scores <- list(network = training$network, posterior = training$posterior)
  scores <- scores[!vapply(scores, is.null, NA)]
  data.frame(do.call(rbind, scores), check.names = FALSE)
}
