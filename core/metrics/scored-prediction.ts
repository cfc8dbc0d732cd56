/** @file A prediction and its labels, checked and brought to plain arrays: what every score starts from. */
import { OptionError, ShapeError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { oneOf } from '../errors/suggest.js'
import { checkLabels } from '../likelihood/labels.js'
import { plainLayout } from '../likelihood/output-layout.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { type Likelihood, LIKELIHOODS, type LogitLikelihood } from '../options/words.js'
import { formatShape, sizeOf, type Tensor, toFloat64 } from '../tensor/tensor.js'

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

/** Probabilities with their labels. */
export interface ScoredProbabilities {
  /** N x C. */
  readonly p: Float64Array
  /** N class numbers, or N x C of 0 and 1. */
  readonly labels: Float64Array
  readonly outputs: number
}

/** Gaussians with their labels. */
export interface ScoredGaussians {
  /** N x C. */
  readonly mean: Float64Array
  /** N x C predictive variances, noise included. */
  readonly variance: Float64Array
  /** N x C x C, noise included; absent where only variances are known. */
  readonly covariance?: Float64Array
  readonly labels: Float64Array
  readonly outputs: number
}

/**
 * The likelihood, where it has scores.
 * @throws OptionError UNKNOWN_WORD, BAD_COMBINATION
 */
export function checkScored(likelihood: Likelihood): LogitLikelihood | 'regression' {
  const name = oneOf('likelihood', likelihood, LIKELIHOODS)
  if (name === 'regression' || hasLogits(name)) return name
  throw new OptionError('BAD_COMBINATION',
    `Scores (compare, evaluate, report) are of classes, labels and regression; the likelihood ${name} has none. `
      + 'Predictions have what scores are made of: means and variances of what is observed, and quantiles; where a '
      + "Gaussian is near enough, score these as 'regression'.", { likelihood: name })
}

/** @throws OptionError, DataError, ShapeError */
export function scoredProbabilities(likelihood: LogitLikelihood, y: Tensor,
  { probabilities }: ScoredPrediction): ScoredProbabilities {
  if (probabilities === undefined) {
    throw new OptionError('BAD_COMBINATION', `metrics of ${likelihood} need probabilities.`, { likelihood })
  }
  const outputs = columns(probabilities, 'probabilities')
  const labels = checkLabels(y, likelihood, probabilities.shape[0], plainLayout(outputs)).values
  return { p: toFloat64(probabilities), labels, outputs }
}

/**
 * @param sigmaNoise observation noise: of all outputs, or one each
 * @throws OptionError, DataError, ShapeError
 */
export function scoredGaussians(y: Tensor, { mean, variance, covariance }: ScoredPrediction,
  sigmaNoise: number | ArrayLike<number>): ScoredGaussians {
  if (mean === undefined) {
    throw new OptionError('BAD_COMBINATION', 'metrics of regression need the mean.', { likelihood: 'regression' })
  }
  const outputs = columns(mean, 'mean')
  const noise = noiseVariances(sigmaNoise, outputs)
  const labels = checkLabels(y, 'regression', mean.shape[0], plainLayout(outputs)).values
  const f = toFloat64(mean)
  const ofFunction = functionVariance(f, variance, covariance, outputs)
  const scored = { mean: f, variance: ofFunction.map((value, i) => value + noise[i % outputs]), labels, outputs }
  return covariance === undefined ? scored : { ...scored, covariance: withNoise(covariance, noise, outputs) }
}

function noiseVariances(sigmaNoise: number | ArrayLike<number>, outputs: number): Float64Array {
  const sigmas = typeof sigmaNoise === 'number'
    ? new Float64Array(outputs).fill(sigmaNoise)
    : Float64Array.from(sigmaNoise)
  const wrong = sigmas.find(sigma => !(sigma > 0))
  if (wrong !== undefined) {
    throw new OptionError('BAD_OPTION', `Option sigmaNoise must be a positive number; got ${shown(wrong)}.`, {
      option: 'sigmaNoise',
      value: wrong,
    })
  }
  if (sigmas.length !== outputs) {
    throw new ShapeError(`Option sigmaNoise must be one number, or one for each of the ${outputs} outputs; ` +
      `got ${sigmas.length}.`, { expected: [outputs], actual: [sigmas.length] })
  }
  return sigmas.map(sigma => sigma * sigma)
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

function withNoise(covariance: Tensor, noise: Float64Array, outputs: number): Float64Array {
  const sum = Float64Array.from(covariance.data)
  for (let i = 0; i < sum.length / outputs; i++) sum[i * outputs + i % outputs] += noise[i % outputs]
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
