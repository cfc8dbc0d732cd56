# Reports of a posterior on rows that it has not seen: one HTML page, and its pictures one by one.

#' Reports and pictures of rows that were not seen
#'
#' `report()` writes one HTML page that loads nothing: what was fitted, scores of the network, of temperature scaling
#' and of the posterior side by side, pictures, and the rows of which the posterior is least sure. `figures()` gives the
#' numbers of the pictures; `plot()` and `autoplot()` (with ggplot2) draw them one by one.
#'
#' @param object a fitted `laplace` object; for `autoplot()` figures.
#' @param path where the page goes.
#' @param x rows that neither the network nor the fit has seen: features as in [predict.laplace()]; for `plot()`
#'   figures.
#' @param y their true responses; taken from `x` for fits by formula.
#' @param outliers rows that are no data, features as in `x`, without responses. `NULL`: the rows, every column shuffled
#'   by itself.
#' @param title heading of the page.
#' @param which the picture: `"reliability"` (classes: right answers by confidence; regression: coverage by level),
#'   `"network"`, `"posterior"` or `"novelty"` (histograms of confidence, or of predicted standard deviations, and of
#'   novelty, on data and on rows that are none), `"risk_coverage"` (classes), `"residuals"` and `"pit"` (regression),
#'   `"prior"` (the evidence by multiples of the prior precision).
#' @param ... further graphical parameters of `plot()`.
#' @return `report()` the path, invisibly; `figures()` a list of class `laplace_figures` with `comparison`, `certainty`,
#'   `risk_coverage`, `residuals`, `prior`, `most_uncertain`; `plot()` the plotted numbers as a data frame, invisibly;
#'   `autoplot()` a ggplot.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' train <- sample(150, 100)
#' fit <- nnet::nnet(Species ~ ., iris[train, ], size = 4, decay = 1e-4, trace = FALSE)
#' la <- laplace(fit)
#' report(la, file.path(tempdir(), "report.html"), iris[-train, ])
#' plot(figures(la, iris[-train, ]), "risk_coverage")
#' \dontshow{close(laplace_server())}
report <- function(object, ...) UseMethod("report")

#' @rdname report
#' @export
report.laplace <- function(object, path, x, y, outliers = NULL, title = NULL, ...) {
  check_no_more(...)
  params <- compared_rows(object, x, y, outliers, "report(object, path, x, y)")
  if (!is.null(object$levels)) params$classes <- as.list(as.character(object$levels))
  if (!is.null(title)) params$title <- title
  write_whole(charToRaw(enc2utf8(ask(object, "report", params)$html)), path)
  invisible(path)
}

#' @rdname report
#' @export
figures <- function(object, ...) UseMethod("figures")

#' @rdname report
#' @export
figures.laplace <- function(object, x, y, outliers = NULL, ...) {
  check_no_more(...)
  answer <- ask(object, "figures", compared_rows(object, x, y, outliers, "figures(object, x, y)"))$figures
  names(answer) <- snake(names(answer))
  structure(answer, class = "laplace_figures")
}

#' @rdname report
#' @export
print.laplace_figures <- function(x, ...) {
  check_no_more(..., allowed = PRINTED)
  cat(sprintf("Figures of %s rows; plot() and autoplot() draw\n", format(x$comparison$rows)))
  writeLines(wrapped("  ", paste(available_figures(x), collapse = ", ")))
  invisible(x)
}

#' @rdname report
#' @export
plot.laplace_figures <- function(x, which = "reliability", ...) {
  check_graphics(...)
  shown <- figure_data(x, which)
  table <- shown$table
  groups <- unique(table$group)
  colors <- stats::setNames(c("#0b63b5", "#c2410c", "#6b4fa0")[seq_along(groups)], groups)
  span_y <- if (shown$kind == "bars") range(0, table$y, finite = TRUE) else range(table$y, finite = TRUE)
  settings <- utils::modifyList(list(
    x = range(table$x, table$x_end), y = span_y, type = "n", log = shown$log, xlab = shown$labels[1],
    ylab = shown$labels[2]
  ), list(...))
  do.call(graphics::plot.default, settings)
  for (group in groups) {
    part <- table[table$group == group, ]
    switch(
      shown$kind,
      bars = graphics::rect(
        part$x, 0, part$x_end, part$y, border = NA, col = grDevices::adjustcolor(colors[[group]], 0.5)
      ),
      lines = graphics::lines(part$x, part$y, col = colors[[group]], lwd = 2),
      points = graphics::points(part$x, part$y, col = grDevices::adjustcolor(colors[[group]], 0.5), pch = 16, cex = 0.5)
    )
  }
  for (line in shown$guides) graphics::lines(line$x, line$y, lty = 2, col = "grey40")
  if (length(groups) > 1) graphics::legend("topleft", legend = groups, col = colors, lwd = 3, bty = "n")
  invisible(table)
}

#' @rdname report
autoplot.laplace_figures <- function(object, which = "reliability", ...) {
  check_no_more(...)
  shown <- figure_data(object, which)
  aes <- function(...) do.call(ggplot2::aes, lapply(list(...), as.name))
  layer <- switch(
    shown$kind,
    bars = ggplot2::geom_rect(aes(xmin = "x", xmax = "x_end", ymin = "zero", ymax = "y", fill = "group"), alpha = 0.5),
    lines = ggplot2::geom_line(aes(x = "x", y = "y", colour = "group")),
    points = ggplot2::geom_point(aes(x = "x", y = "y", colour = "group"), size = 0.7, alpha = 0.5)
  )
  shown$table$zero <- 0
  guides <- lapply(shown$guides, function(line) {
    ggplot2::geom_path(aes(x = "x", y = "y"), data = as.data.frame(line), linetype = 2, colour = "grey40")
  })
  words <- ggplot2::labs(x = shown$labels[1], y = shown$labels[2], colour = NULL, fill = NULL)
  scale <- if (shown$log == "x") list(ggplot2::scale_x_log10()) else list()
  Reduce(`+`, c(list(layer), guides, scale, list(words)), ggplot2::ggplot(shown$table))
}

available_figures <- function(figures) {
  certain <- vapply(figures$certainty, function(entry) entry$of, "")
  c(
    "reliability", certain, if (!is.null(figures$risk_coverage)) "risk_coverage",
    if (!is.null(figures$residuals)) c("residuals", "pit"), if (!is.null(figures$prior)) "prior"
  )
}

#' What a picture shows: list(kind, table(group, x, x_end, y), labels, guides, log).
#' @noRd
figure_data <- function(figures, which) {
  which <- one_of(which, available_figures(figures), "which")
  regression <- !is.null(figures$residuals)
  unit <- list(list(x = c(0, 1), y = c(0, 1)))
  switch(
    which,
    reliability = shown_figure(
      "lines", reliability_points(figures$comparison, regression),
      if (regression) c("Level of the intervals", "Share of the truth inside") else
        c("Confidence", "Share of right answers"), unit
    ),
    risk_coverage = shown_figure(
      "lines",
      stacked(lapply(figures$risk_coverage, function(curve) figure_table(curve$of, curve$coverage, curve$risk))),
      c("Share of rows answered", "Share of wrong answers")
    ),
    residuals = residual_points(figures$residuals),
    pit = {
      shares <- as.double(unlist(figures$comparison$posterior$pit$histogram))
      shown_figure(
        "bars", histogram_bars("posterior", list(from = 0, to = 1, shares = shares)), c("PIT", "Share of rows"),
        list(list(x = c(0, 1), y = rep(1 / length(shares), 2)))
      )
    },
    prior = {
      evidence <- as.double(unlist(figures$prior$logMarginalLikelihood))
      shown_figure(
        "lines", figure_table("posterior", figures$prior$factor, evidence),
        c("Multiple of the prior precision", "Log marginal likelihood"),
        list(list(x = c(1, 1), y = range(evidence))), "x"
      )
    },
    certainty_bars(figures, which, regression)
  )
}

shown_figure <- function(kind, table, labels, guides = list(), log = "") {
  list(kind = kind, table = table, labels = labels, guides = guides, log = log)
}

figure_table <- function(group, x, y, x_end = x) {
  numbers <- function(values) as.double(unlist(values))
  data.frame(group = group, x = numbers(x), x_end = numbers(x_end), y = numbers(y))
}

stacked <- function(tables) do.call(rbind, tables)

reliability_points <- function(comparison, regression) {
  of <- c("network", "temperature", "posterior")
  stacked(lapply(of[!vapply(comparison[of], is.null, NA)], function(name) {
    entries <- if (regression) comparison[[name]]$intervals else comparison[[name]]$reliability
    column <- function(field) vapply(entries, function(entry) as.double(entry[[field]]), 0)
    if (regression) figure_table(name, column("level"), column("coverage")) else
      figure_table(name, column("confidence"), column("accuracy"))
  }))
}

residual_points <- function(residuals) {
  table <- figure_table("posterior", residuals$deviation, residuals$residual)
  ends <- range(table$x)
  cone <- lapply(c(-1, 1), function(side) list(x = ends, y = side * stats::qnorm(0.95) * ends))
  shown_figure("points", table, c("Predicted standard deviation", "Truth - mean"), cone)
}

histogram_bars <- function(group, histogram) {
  shares <- as.double(unlist(histogram$shares))
  edges <- seq(histogram$from, histogram$to, length.out = length(shares) + 1)
  figure_table(group, edges[-length(edges)], shares, edges[-1])
}

certainty_bars <- function(figures, of, regression) {
  entry <- Filter(function(entry) entry$of == of, figures$certainty)[[1]]
  certain <- if (regression) "Predicted standard deviation" else "Confidence"
  shown_figure(
    "bars", rbind(histogram_bars("data", entry$data), histogram_bars("others", entry$others)),
    c(if (of == "novelty") "Novelty (p-value)" else certain, "Share of rows")
  )
}
