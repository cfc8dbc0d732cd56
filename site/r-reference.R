# R's help pages as HTML: Rscript site/r-reference.R MAN OUT
paths <- commandArgs(trailingOnly = TRUE)
files <- list.files(paths[1], "[.]Rd$", full.names = TRUE)
parsed <- lapply(files, tools::parse_Rd)
names <- sub("[.]Rd$", ".html", basename(files))
of_tag <- function(page, tag) Filter(function(part) identical(attr(part, "Rd_tag"), tag), page)
words <- function(part) trimws(paste(unlist(part), collapse = ""))
aliases <- lapply(parsed, function(page) vapply(of_tag(page, "\\alias"), words, ""))
links <- stats::setNames(rep(names, lengths(aliases)), unlist(aliases))
for (i in seq_along(files)) {
  # What it says of links to R's own pages, and of pages that it would redirect, is no fault.
  suppressMessages(suppressWarnings(tools::Rd2HTML(
    parsed[[i]], file.path(paths[2], names[i]), package = c("polylaplace", ""), Links = links, Links2 = character()
  )))
}
titles <- vapply(parsed, function(page) words(of_tag(page, "\\title")[[1]]), "")
head <- c("<!doctype html>", "<html lang=\"en\"><meta charset=\"utf-8\"><title>polylaplace for R</title>", "<h1>polylaplace for R</h1>", "<ul>")
entries <- sprintf("<li><a href=\"%s\">%s</a>: %s</li>", names, sub("[.]html$", "", names), titles)
writeLines(c(head, entries, "</ul></html>"), file.path(paths[2], "index.html"))
