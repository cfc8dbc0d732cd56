#' Uncertainty for trained neural networks
#'
#' [laplace()] makes a trained network Bayesian, [predict.laplace()] predicts with uncertainty. The computation is done
#' by a server in Node.js that the package starts by itself; [doctor()] explains a set-up that does not work.
#'
#' @section Settings:
#' * `options(polylaplace.node = )` or the environment variable `POLYLAPLACE_NODE`: path of Node.js.
#' * `options(polylaplace.transport = )` or `POLYLAPLACE_TRANSPORT`: `"processx"`, `"fifo"` or `"tcp"`; chosen by itself
#'   otherwise.
#' * `options(polylaplace.progress = TRUE)`: bars for long work, with package cli.
#' * `options(polylaplace.start_timeout = 10)`, or the environment variable `POLYLAPLACE_START_TIMEOUT`: seconds until
#'   the server must have started; unless given, longer on a machine that is crowded.
#'
#' An interrupt (Ctrl-C, Esc) cancels the present work and leaves the session and all fitted objects usable.
#'
#' @importFrom graphics plot
#' @importFrom stats AIC BIC coef confint fitted logLik model.frame nobs predict residuals sigma simulate update vcov
#' @keywords internal
"_PACKAGE"
