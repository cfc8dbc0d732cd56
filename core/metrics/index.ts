/** @file Scores of predictions against held-out labels, by likelihood. */
import { optionsObject } from '../errors/suggest.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Likelihood, LogitLikelihood, NumberLikelihood } from '../options/words.js'
import { demandTensor, type Tensor } from '../tensor/tensor.js'
import { accuracy } from './accuracy.js'
import { bernoulliBrier, categoricalBrier } from './brier.js'
import { bernoulliDecisions, categoricalDecisions } from './decisions.js'
import { expectedCalibrationError } from './ece.js'
import { scoresOf } from './mixture-scores.js'
import { bernoulliNll, categoricalNll, jointGaussianNll } from './nll.js'
import { rmse } from './rmse.js'
import { checkScored, scoredNumbers, type ScoredPrediction, scoredProbabilities } from './scored-prediction.js'
import { sharpness } from './sharpness.js'

export { auroc } from './auroc.js'
export { type BernoulliReport, type CalibrationReport, calibrationReport, type ClassificationReport, isNumberReport,
  type NumberReport, type RegressionReport, type ReportOptions } from './calibration-report.js'
export { type CalibrationBin, calibrationBins, ECE_BINS, expectedCalibrationError } from './ece.js'
export { type OutlierScores, outlierScores } from './outlier-scores.js'
export type { ScoredPrediction } from './scored-prediction.js'

/** Scores by name. */
export type Metrics = Readonly<Record<string, number>>

/**
 * Scores predictions on labels that the fit has not seen.
 *
 * classification, binary, multilabel: `nll` (mean over points, labels of a point summed), `ece` (15 bins), `brier`,
 * `accuracy`. regression, with predictive variance f_var + sigma^2, poisson and heteroscedastic, with the distribution
 * of an observation: `nll`, `rmse`, `crps` (means over all entries), `coverage` (share within the central 95 %
 * interval), `sharpness` (mean standard deviation), `deviance` (of counts), and `nllJointOutputs` (per point) where the
 * covariance of a regression is known.
 * @param y labels as in `fit`
 * @param sigmaNoise observation noise of regression
 * @throws OptionError, DataError, ShapeError
 * @example
 * const y = { dtype: 'int64', shape: [2], data: Float64Array.of(0, 1) } as const
 * const probabilities = float64([2, 2], [0.75, 0.25, 0.5, 0.5])
 * metrics('classification', y, { probabilities }).nll   // 0.4904...
 */
export function metrics(likelihood: Likelihood, y: Tensor, prediction: ScoredPrediction,
  sigmaNoise: number | ArrayLike<number> = 1): Metrics {
  const name = checkScored(likelihood)
  optionsObject('metrics', prediction)
  demandTensor('y', y)
  return hasLogits(name)
    ? probabilityMetrics(name, y, prediction)
    : numberMetrics(name, y, prediction, sigmaNoise)
}

function probabilityMetrics(likelihood: LogitLikelihood, y: Tensor, prediction: ScoredPrediction): Metrics {
  const { p, labels, outputs } = scoredProbabilities(likelihood, y, prediction)
  const categorical = likelihood === 'classification'
  const decisions = categorical ? categoricalDecisions(p, labels, outputs) : bernoulliDecisions(p, labels)
  return {
    nll: categorical ? categoricalNll(p, labels, outputs) : bernoulliNll(p, labels, outputs),
    ece: expectedCalibrationError(decisions),
    brier: categorical ? categoricalBrier(p, labels, outputs) : bernoulliBrier(p, labels),
    accuracy: accuracy(decisions),
  }
}

function numberMetrics(likelihood: NumberLikelihood, y: Tensor, prediction: ScoredPrediction,
  sigmaNoise: number | ArrayLike<number>): Metrics {
  const scored = scoredNumbers(likelihood, y, prediction, sigmaNoise)
  const { mean, variance, covariance, labels, outputs } = scored
  const { nll, crps, deviance, interval } = scoresOf(scored)
  return {
    nll: nll(),
    rmse: rmse(mean, labels),
    crps: crps(),
    coverage: interval(0.95).coverage,
    sharpness: sharpness(variance),
    ...(deviance === undefined ? {} : { deviance: deviance() }),
    ...(covariance === undefined ? {} : { nllJointOutputs: jointGaussianNll(mean, covariance, labels, outputs) }),
  }
}
