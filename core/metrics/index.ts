/** @file Scores of predictions against held-out labels, by likelihood. */
import { OptionError, ShapeError } from '../errors/errors.js'
import { oneOf } from '../errors/suggest.js'
import { checkLabels } from '../likelihood/labels.js'
import { type Likelihood, LIKELIHOODS } from '../options/words.js'
import { formatShape, sizeOf, type Tensor, toFloat64 } from '../tensor/tensor.js'
import { accuracy } from './accuracy.js'
import { bernoulliBrier, categoricalBrier } from './brier.js'
import { coverage95 } from './coverage.js'
import { gaussianCrps } from './crps.js'
import { bernoulliDecisions, categoricalDecisions } from './decisions.js'
import { expectedCalibrationError } from './ece.js'
import { bernoulliNll, categoricalNll, gaussianNll, jointGaussianNll } from './nll.js'
import { rmse } from './rmse.js'
import { sharpness } from './sharpness.js'

export { auroc } from './auroc.js'
export { type CalibrationBin, calibrationBins, ECE_BINS, expectedCalibrationError } from './ece.js'

/** The parts of a prediction that are scored: `probabilities`, or `mean` and `variance` for regression. */
export interface ScoredPrediction {
  /** N x C means. */
  readonly mean?: Tensor
  /** N x C variances of the function, without noise; absent means 0. */
  readonly variance?: Tensor
  /** N x C probabilities (binary: N x 1). */
  readonly probabilities?: Tensor
  /** N x C x C covariances of the function, without noise. */
  readonly covariance?: Tensor
}

/** Scores by name. */
export type Metrics = Readonly<Record<string, number>>

/**
 * Scores predictions on labels that the fit has not seen.
 *
 * classification, binary, multilabel: `nll` (mean over points, labels of a point summed), `ece` (15 bins), `brier`,
 * `accuracy`. regression, with predictive variance f_var + sigma^2: `nll`, `rmse`, `crps` (means over all entries),
 * `coverage` (share within the central 95 % interval), `sharpness` (mean standard deviation), and `nllJointOutputs`
 * (per point) where the covariance is known.
 * @param y labels as in `fit`
 * @param sigmaNoise observation noise of regression
 * @throws OptionError, DataError, ShapeError
 * @example
 * const y = { dtype: 'int64', shape: [2], data: Float64Array.of(0, 1) } as const
 * const probabilities = float64([2, 2], [0.75, 0.25, 0.5, 0.5])
 * metrics('classification', y, { probabilities }).nll   // 0.4904...
 */
export function metrics(likelihood: Likelihood, y: Tensor, prediction: ScoredPrediction, sigmaNoise = 1): Metrics {
  oneOf('likelihood', likelihood, LIKELIHOODS)
  return likelihood === 'regression'
    ? regressionMetrics(y, prediction, sigmaNoise)
    : probabilityMetrics(likelihood, y, prediction)
}

function probabilityMetrics(likelihood: 'classification' | 'binary' | 'multilabel', y: Tensor,
  { probabilities }: ScoredPrediction): Metrics {
  if (probabilities === undefined) {
    throw new OptionError('BAD_COMBINATION', `metrics of ${likelihood} need probabilities.`, { likelihood })
  }
  const outputs = columns(probabilities, 'probabilities')
  const labels = checkLabels(y, likelihood, probabilities.shape[0], outputs).values
  const p = toFloat64(probabilities)
  const categorical = likelihood === 'classification'
  const decisions = categorical ? categoricalDecisions(p, labels, outputs) : bernoulliDecisions(p, labels)
  return {
    nll: categorical ? categoricalNll(p, labels, outputs) : bernoulliNll(p, labels, outputs),
    ece: expectedCalibrationError(decisions),
    brier: categorical ? categoricalBrier(p, labels, outputs) : bernoulliBrier(p, labels),
    accuracy: accuracy(decisions),
  }
}

function regressionMetrics(y: Tensor, { mean, variance, covariance }: ScoredPrediction, sigmaNoise: number): Metrics {
  if (mean === undefined) {
    throw new OptionError('BAD_COMBINATION', 'metrics of regression need the mean.', { likelihood: 'regression' })
  }
  if (!(sigmaNoise > 0)) {
    throw new OptionError('BAD_OPTION', `Option sigmaNoise must be a positive number; got ${sigmaNoise}.`, {
      option: 'sigmaNoise',
      value: sigmaNoise,
    })
  }
  const outputs = columns(mean, 'mean')
  const labels = checkLabels(y, 'regression', mean.shape[0], outputs).values
  const f = toFloat64(mean)
  const noise = sigmaNoise * sigmaNoise
  const predictive = functionVariance(f, variance, covariance, outputs).map(value => value + noise)
  const scores = {
    nll: gaussianNll(f, predictive, labels),
    rmse: rmse(f, labels),
    crps: gaussianCrps(f, predictive, labels),
    coverage: coverage95(f, predictive, labels),
    sharpness: sharpness(predictive),
  }
  return covariance === undefined
    ? scores
    : { ...scores, nllJointOutputs: jointGaussianNll(f, withNoise(covariance, noise, outputs), labels, outputs) }
}

/** N x C, from whichever of the two is given. */
function functionVariance(f: Float64Array, variance: Tensor | undefined, covariance: Tensor | undefined,
  outputs: number): Float64Array {
  if (covariance !== undefined) {
    checkSize(covariance, f.length * outputs, 'covariance')
    return f.map((_, i) => covariance.data[i * outputs + i % outputs])
  }
  if (variance === undefined) return new Float64Array(f.length)
  checkSize(variance, f.length, 'variance')
  return toFloat64(variance)
}

function withNoise(covariance: Tensor, noise: number, outputs: number): Float64Array {
  const sum = Float64Array.from(covariance.data)
  for (let i = 0; i < sum.length / outputs; i++) sum[i * outputs + i % outputs] += noise
  return sum
}

function columns(value: Tensor, name: string): number {
  const [n, outputs = 1] = value.shape
  if (value.shape.length === 0 || value.shape.length > 2 || n === 0) {
    throw new ShapeError(`${name} must be N x C; got ${formatShape(value.shape)}.`, { expected: ['N', 'C'],
      actual: value.shape })
  }
  return outputs
}

function checkSize(value: Tensor, size: number, name: string): void {
  if (sizeOf(value.shape) !== size) {
    throw new ShapeError(
      `${name} has ${sizeOf(value.shape)} numbers (${formatShape(value.shape)}); the mean needs ${size}.`,
      { expected: size, actual: value.shape },
    )
  }
}
