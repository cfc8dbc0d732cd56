# 58: no function and no method swallows an argument that it does not have, or one of another kind. The surface is read
# from the namespace, so that what is new is covered by itself.

skip_if_not_installed("nnet")

# Everything that is tried is tried on these.
fitted_things <- local({
  made <- NULL
  function() {
    skip_without_node()
    if (!is.null(made)) return(made)
    set.seed(1)
    network <- nnet::nnet(Species ~ ., iris, size = 3, decay = 0.01, trace = FALSE, maxit = 30)
    la <- laplace(network, structure = "full", subset = "last_layer", prior_precision = 1)
    x <- as.matrix(iris[1:4])
    part <- fit_partial(network, x, iris$Species, "classification")
    some <- iris[7 * 1:20, ]
    made <<- list(network = network, la = la, x = x, y = iris$Species, part = part, some = some)
  }
})

quiet <- function(code) suppressWarnings(utils::capture.output(code))

# A call of every function and method, by its name, with more arguments.
calls_of <- function(it) {
  file <- tempfile()
  save_laplace(it$la, file)
  drawing <- function(code) {
    grDevices::pdf(NULL)
    on.exit(grDevices::dev.off())
    code
  }
  both <- mixture(list(it$la))
  figures <- figures(it$la, it$some)
  list(
    predict.laplace = function(...) predict(it$la, iris[1:2, ], ...),
    predict.laplace_mixture = function(...) predict(both, iris[1:2, ], ...),
    summary.laplace = function(...) summary(it$la, ...),
    print.laplace = function(...) print(it$la, ...),
    print.summary.laplace = function(...) print(summary(it$la), ...),
    print.laplace_mixture = function(...) print(both, ...),
    print.laplace_partial = function(...) print(it$part, ...),
    print.laplace_comparison = function(...) print(compare(it$la, it$some), ...),
    print.laplace_figures = function(...) print(figures, ...),
    print.laplace_forecast = function(...) print(forecast_laplace(it$network, 10, "classification"), ...),
    print.laplace_server = function(...) print(laplace_server(), ...),
    plot.laplace = function(...) drawing(plot(it$la, ...)),
    plot.laplace_figures = function(...) drawing(plot(figures, ...)),
    coef.laplace = function(...) coef(it$la, ...),
    vcov.laplace = function(...) vcov(it$la, ...),
    confint.laplace = function(...) confint(it$la, ...),
    logLik.laplace = function(...) logLik(it$la, ...),
    AIC.laplace = function(...) AIC(it$la, ...),
    BIC.laplace = function(...) BIC(it$la, ...),
    nobs.laplace = function(...) nobs(it$la, ...),
    fitted.laplace = function(...) fitted(it$la, ...),
    residuals.laplace = function(...) residuals(it$la, ...),
    sigma.laplace = function(...) sigma(it$la, ...),
    model.frame.laplace = function(...) model.frame(it$la, ...),
    update.laplace = function(...) {
      network <- it$network
      update(it$la, ...)
    },
    simulate.laplace = function(...) simulate(it$la, ...),
    influence.laplace = function(...) influence(it$la, ...),
    compare.laplace = function(...) compare(it$la, it$some, ...),
    compare.laplace_mixture = function(...) compare(both, it$some, ...),
    conformalize.laplace = function(...) conformalize(it$la, it$some, ...),
    conformalize.laplace_mixture = function(...) conformalize(both, it$some, ...),
    figures.laplace = function(...) figures(it$la, it$some, ...),
    report.laplace = function(...) report(it$la, tempfile(), it$some, ...),
    to_onnx.laplace = function(...) to_onnx(it$la, tempfile(), ...),
    tidy.laplace = function(...) inside$tidy.laplace(it$la, ...),
    glance.laplace = function(...) inside$glance.laplace(it$la, ...),
    augment.laplace = function(...) inside$augment.laplace(it$la, ...),
    laplace.nnet = function(...) laplace(it$network, ...),
    close.laplace_server = function(...) close(laplace_server(), ...),
    fit_partial = function(...) fit_partial(it$network, it$x, it$y, "classification", ...),
    fit_merged = function(...) fit_merged(it$network, it$part, "classification", ...),
    forecast_laplace = function(...) forecast_laplace(it$network, 10, "classification", ...),
    laplace_metrics = function(...) laplace_metrics(it$la, it$x, it$y, ...),
    laplace_uncertainty = function(...) laplace_uncertainty(it$la, it$x, ...),
    mixture = function(...) mixture(it$la, ...),
    caret_laplace = function(...) caret_laplace(...),
    fit_future = function(...) fit_future(it$network, list(list(it$x, it$y)), "classification", ...),
    predict_future = function(...) predict_future(it$la, list(it$x), ...),
    # Without `...`: R refuses what they do not have.
    add_rows = function(...) add_rows(it$la, it$x, it$y, ...),
    forget = function(...) forget(it$la, it$x[1:3, ], it$y[1:3], ...),
    merge_partials = function(...) merge_partials(list(it$part), ...),
    save_laplace = function(...) save_laplace(it$la, tempfile(), ...),
    load_laplace = function(...) load_laplace(file, ...),
    laplace_server = function(...) laplace_server(...),
    laplace_available = function(...) laplace_available(...),
    doctor = function(...) doctor(...)
  )
}

test_that("58 every function and method is in the audit", {
  skip_without_node()
  calls <- names(calls_of(fitted_things()))
  methods <- getNamespaceInfo("polylaplace", "S3methods")[, 1:2]
  # Operators, dim(), and methods that are another one.
  own <- setdiff(
    paste(methods[, 1], methods[, 2], sep = "."),
    c("+.laplace_partial", "-.laplace_partial", "dim.laplace_inputs", "laplace.default", "laplace.character",
      "laplace.raw", "laplace.list", "laplace.formula", "laplace.neuralnet", "autoplot.laplace",
      "autoplot.laplace_figures")
  )
  expect_equal(setdiff(own, calls), character())
  generics <- unique(methods[, 1])
  expect_equal(setdiff(getNamespaceExports("polylaplace"), c(calls, generics)), character())
})

test_that("58 a misspelt argument is refused", {
  calls <- calls_of(fitted_things())
  for (name in names(calls)) {
    said <- "sample_wieght|unused argument|needs fitted `laplace`"
    expect_error(quiet(calls[[name]](sample_wieght = 1)), said, info = name)
  }
  error <- tryCatch(predict(fitted_things()$la, iris[1:2, ], n_smaples = 3), error = identity)
  expect_match(conditionMessage(error), "Did you mean `n_samples`?", fixed = TRUE)
})

# What a value of another kind is refused by: an error of this package, or R's for an argument that is missing.
refusal <- function(code) {
  tryCatch(
    {
      quiet(code)
      "accepted"
    },
    laplace_error = function(error) {
      long <- nchar(conditionMessage(error)) > 1000
      if (inherits(error, "laplace_error_internal") || long) conditionMessage(error) else ""
    },
    error = function(error) if (grepl("unused argument", conditionMessage(error))) "" else conditionMessage(error)
  )
}

WRONG <- list(
  flag = list(NaN, "yes", list(), NA, c(TRUE, FALSE), 2.5, character()),
  whole = list(NaN, -1, 2.5, "3", list(), NA, c(1, 2), Inf, character()),
  seconds = list(NaN, -1, "3", list(), c(1, 2), Inf, character()),
  text = list(2.5, list(), c("a", "b"), NA, TRUE)
)
#' By function: arguments and what they are.
KINDS <- list(
  predict.laplace = c(se.fit = "flag", timeout = "seconds", n_samples = "whole", seed = "whole"),
  confint.laplace = c(level = "flag"),
  simulate.laplace = c(nsim = "whole"),
  conformalize.laplace = c(randomised = "flag", seed = "whole", score = "whole"),
  conformalize.laplace_mixture = c(randomised = "flag", seed = "whole", score = "whole"),
  to_onnx.laplace = c(card = "flag", mlflow = "flag", opset = "flag", samples = "whole", level = "flag"),
  report.laplace = c(title = "whole"),
  plot.laplace = c(bins = "whole"),
  save_laplace = c(network = "flag"),
  load_laplace = c(levels = "whole"),
  merge_partials = c(repeats = "whole"),
  fit_partial = c(chunk = "flag"),
  mixture = c(weights = "text"),
  forecast_laplace = c(batch = "whole", predict = "whole", samples = "whole"),
  tidy.laplace = c(conf.int = "flag", by = "whole"),
  laplace.nnet = c(
    timeout = "seconds", na.action = "whole", structure = "flag", subset = "text", threads = "whole",
    batch_size = "whole", memory_limit = "whole", seed = "whole", rank = "whole", n_subset = "whole", samples = "whole",
    draws = "whole",
    activation = "flag", model_name = "flag", input_size = "whole", dimensions = "whole", input = "flag",
    output = "flag", last_layer_name = "flag", curvature = "flag", tune = "flag", calibrate = "flag",
    engine = "flag", precision = "flag", blocks = "flag", kfac_approx = "flag", temperature = "flag",
    label_smoothing = "flag", external_data = "whole"
  )
)
# Values that are right after all: lists without entries say nothing, TRUE is a number of samples nowhere.
RIGHT <- list(
  laplace.nnet = c("activation yes", "model_name yes", "temperature 2.5", "dimensions list()", "input_size list()",
    "subset c(TRUE, FALSE)", "external_data 3", "external_data list()", "external_data character(0)",
    "input_size character(0)", "dimensions character(0)", "dimensions c(1, 2)", "input_size c(1, 2)"),
  fit_partial = "chunk yes", load_laplace = c("levels 3", "levels character(0)"), report.laplace = "title 3",
  mixture = "weights 2.5"
)

test_that("58 values of another kind are refused by this package", {
  calls <- calls_of(fitted_things())
  failed <- character()
  for (name in names(KINDS)) {
    for (argument in names(KINDS[[name]])) {
      for (value in WRONG[[KINDS[[name]][[argument]]]]) {
        said <- refusal(do.call(calls[[name]], stats::setNames(list(value), argument)))
        label <- paste(argument, paste(if (is.character(value) && length(value) == 1) value else deparse(value)))
        if (nzchar(said) && !(said == "accepted" && label %in% RIGHT[[name]])) {
          failed <- c(failed, paste(name, label, said, sep = ": "))
        }
      }
    }
  }
  expect_equal(failed, character())
})
