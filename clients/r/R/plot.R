#' Pictures of fitted objects
#'
#' * Regression on one feature: the mean with bands of 95 % for the mean and for new observations, and the data.
#' * Other regressions: observed against predicted, with standard errors.
#' * Classes: observed frequency against predicted probability (a reliability diagram), with the number of examples as
#'   area.
#'
#' `plot()` draws with base graphics; `autoplot()` gives the same as a ggplot2 object when that package is loaded.
#'
#' @param x,object a fitted `laplace` object.
#' @param newdata,y other data to show, for instance held-out data: features as in [predict.laplace()], and responses
#'   (taken from `newdata` for fits by formula). The training data when left out.
#' @param level of the bands.
#' @param bins number of bins of the reliability diagram.
#' @param ... further graphical parameters of `plot()`; not used by `autoplot()`.
#' @return `plot()` returns the plotted numbers as a data frame, invisibly; `autoplot()` a ggplot.
#' @export
#' @examplesIf laplace_available() && requireNamespace("nnet", quietly = TRUE)
#' set.seed(1)
#' fit <- nnet::nnet(dist ~ speed, cars / 50, size = 3, linout = TRUE, trace = FALSE)
#' plot(laplace(fit, subset = "all", structure = "full"))
#' \dontshow{close(laplace_server())}
plot.laplace <- function(x, newdata, y, level = 0.95, bins = 10, ...) {
  check_graphics(...)
  shown <- plot_data(x, newdata, y, level, bins)
  switch(
    shown$kind, curve = draw_curve(shown, ...), points = draw_points(shown, ...),
    reliability = draw_reliability(shown, ...)
  )
  invisible(shown$table)
}

#' What a picture shows: list(kind, table, points, labels).
#' @noRd
plot_data <- function(object, newdata, y, level, bins) {
  check_level(level)
  check_whole(bins, "bins")
  rows <- if (missing(newdata)) training_labels(object) else labelled_rows(object, newdata, y, "plot(x, newdata, y)")
  truth <- rows$y
  if (has_observation(object)) {
    laplace_stop(
      paste0(
        "There is no picture of likelihood \"", object$likelihood, "\"; predict(x, newdata, type = \"pred_int\") ",
        "gives what to draw."
      ),
      "BAD_COMBINATION", list(likelihood = object$likelihood)
    )
  }
  if (object$likelihood != "regression") return(reliability_data(object, rows, truth, bins))
  one_of_each <- length(dim(rows$x)) == 2 && ncol(rows$x) == 1 && object$outputs == 1
  if (one_of_each) curve_data(object, rows, truth, level) else points_data(object, rows, truth)
}

curve_data <- function(object, rows, truth, level) {
  ends <- range(rows$x)
  grid <- seq(ends[1] - diff(ends) / 4, ends[2] + diff(ends) / 4, length.out = 200)
  answer <- predicted(object, matrix(grid, ncol = 1), list())
  z <- stats::qnorm((1 + level) / 2)
  inner <- z * sqrt(answer$variance[, 1])
  outer <- z * sqrt(answer$variance[, 1] + object$sigma_noise^2)
  mean <- answer$mean[, 1]
  list(
    kind = "curve",
    table = data.frame(
      x = grid, fit = mean, lwr = mean - inner, upr = mean + inner, lower = mean - outer, upper = mean + outer
    ),
    points = data.frame(x = rows$x[, 1], y = truth[, 1]),
    labels = c(if (is.null(object$features)) "x" else object$features, response_label(object))
  )
}

points_data <- function(object, rows, truth) {
  answer <- predicted(object, rows$x, list())
  list(
    kind = "points",
    table = data.frame(fit = as.vector(answer$mean), se.fit = sqrt(as.vector(answer$variance)), y = as.vector(truth)),
    labels = c(paste("Predicted", response_label(object)), paste("Observed", response_label(object)))
  )
}

#' Every probability of every class counts, in bins of equal width.
#' @noRd
reliability_data <- function(object, rows, truth, bins) {
  p <- predicted(object, rows$x, list())$probabilities
  hit <- if (object$likelihood == "classification") outer(as.vector(truth), seq_len(ncol(p)) - 1, "==") else truth == 1
  bin <- cut(as.vector(p), seq(0, 1, length.out = bins + 1), include.lowest = TRUE)
  table <- data.frame(
    probability = as.vector(tapply(as.vector(p), bin, mean)), frequency = as.vector(tapply(as.vector(hit), bin, mean)),
    count = as.vector(table(bin))
  )
  list(
    kind = "reliability", table = table[table$count > 0, ], labels = c("Predicted probability", "Observed frequency")
  )
}

response_label <- function(object) {
  if (is.null(object$terms)) "y" else deparse(stats::formula(object$terms)[[2]])
}

#' Refuses what no picture takes: `...` are arguments of plot.default() and graphical parameters.
#' @noRd
check_graphics <- function(...) {
  known <- c(names(formals(graphics::plot.default)), names(graphics::par(no.readonly = TRUE)))
  check_no_more(..., allowed = known)
}

band <- function(x, lower, upper, color) graphics::polygon(c(x, rev(x)), c(lower, rev(upper)), col = color, border = NA)

draw_curve <- function(shown, ...) {
  table <- shown$table
  limits <- range(table$lower, table$upper, shown$points$y)
  settings <- utils::modifyList(
    list(x = range(table$x), y = limits, type = "n", xlab = shown$labels[1], ylab = shown$labels[2]), list(...)
  )
  do.call(graphics::plot.default, settings)
  band(table$x, table$lower, table$upper, grDevices::rgb(0.2, 0.4, 0.8, 0.15))
  band(table$x, table$lwr, table$upr, grDevices::rgb(0.2, 0.4, 0.8, 0.35))
  graphics::lines(table$x, table$fit, lwd = 2, col = grDevices::rgb(0.1, 0.2, 0.6))
  graphics::points(shown$points$x, shown$points$y, pch = 16, cex = 0.7)
}

draw_points <- function(shown, ...) {
  table <- shown$table
  span <- range(table$fit - 2 * table$se.fit, table$fit + 2 * table$se.fit)
  settings <- utils::modifyList(
    list(x = table$fit, y = table$y, xlim = span, xlab = shown$labels[1], ylab = shown$labels[2], pch = 16, cex = 0.7),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::segments(
    table$fit - 2 * table$se.fit, table$y, table$fit + 2 * table$se.fit, table$y,
    col = grDevices::rgb(0.2, 0.4, 0.8, 0.5)
  )
  graphics::abline(0, 1, lty = 2)
}

draw_reliability <- function(shown, ...) {
  table <- shown$table
  size <- 0.8 + 3 * sqrt(table$count / max(table$count))
  settings <- utils::modifyList(list(
    x = table$probability, y = table$frequency, xlim = c(0, 1), ylim = c(0, 1), cex = size, pch = 21,
    bg = grDevices::rgb(0.2, 0.4, 0.8, 0.5),
    xlab = shown$labels[1], ylab = shown$labels[2]
  ), list(...))
  do.call(graphics::plot.default, settings)
  graphics::abline(0, 1, lty = 2)
}

#' @rdname plot.laplace
autoplot.laplace <- function(object, newdata, y, level = 0.95, bins = 10, ...) {
  shown <- plot_data(object, newdata, y, level, bins)
  column <- function(name) as.name(name)
  aes <- function(...) do.call(ggplot2::aes, lapply(list(...), column))
  picture <- ggplot2::ggplot(shown$table)
  layers <- switch(shown$kind,
    curve = list(
      ggplot2::geom_ribbon(aes(x = "x", ymin = "lower", ymax = "upper"), fill = "#3366cc", alpha = 0.15),
      ggplot2::geom_ribbon(aes(x = "x", ymin = "lwr", ymax = "upr"), fill = "#3366cc", alpha = 0.35),
      ggplot2::geom_line(aes(x = "x", y = "fit"), colour = "#1a3399"),
      ggplot2::geom_point(aes(x = "x", y = "y"), data = shown$points)
    ),
    points = list(
      ggplot2::geom_abline(linetype = 2),
      ggplot2::geom_segment(
        ggplot2::aes(
          x = shown$table$fit - 2 * shown$table$se.fit, xend = shown$table$fit + 2 * shown$table$se.fit,
          y = shown$table$y, yend = shown$table$y
        ),
        colour = "#3366cc", alpha = 0.5
      ),
      ggplot2::geom_point(aes(x = "fit", y = "y"))
    ),
    reliability = list(
      ggplot2::geom_abline(linetype = 2),
      ggplot2::geom_point(aes(x = "probability", y = "frequency", size = "count"), colour = "#3366cc", alpha = 0.6),
      ggplot2::coord_equal(xlim = c(0, 1), ylim = c(0, 1))
    )
  )
  Reduce(`+`, c(layers, list(ggplot2::labs(x = shown$labels[1], y = shown$labels[2]))), picture)
}
