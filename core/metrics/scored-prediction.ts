/** @file A prediction and its labels, checked and brought to plain arrays: what every score starts from. */
import { OptionError, ShapeError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { oneOf } from '../errors/suggest.js'
import { checkLabels } from '../likelihood/labels.js'
import { plainLayout } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hasLogits, hasNumbers } from '../options/likelihood-kinds.js'
import { type Likelihood, LIKELIHOODS, type LogitLikelihood, type NumberLikelihood } from '../options/words.js'
import { formatShape, sizeOf, type Tensor, toFloat64 } from '../tensor/tensor.js'

/**
 * The parts of a prediction that are scored: `probabilities`, or of numbers the `mean` and `variance` of the outputs
 * (poisson: of log rates; heteroscedastic: of means and log variances).
 */
export interface ScoredPrediction {
  /** N x C. */
  readonly mean?: Tensor
  /** N x C variances of the function, without noise; absent means 0. */
  readonly variance?: Tensor
  /** N x C probabilities (binary: N x 1). */
  readonly probabilities?: Tensor
  /** N x C x C covariances of the function, without noise. */
  readonly covariance?: Tensor
  /** Of a mixture of numbers: its members, in place of mean and variance. */
  readonly members?: readonly ScoredMember[]
}

/** A member of a mixture: what it predicts, by its own noise. */
export interface ScoredMember extends Pick<ScoredPrediction, 'mean' | 'variance'> {
  /** They sum to 1. */
  readonly weight: number
  readonly sigmaNoise: number | ArrayLike<number>
}

/** Probabilities with their labels. */
export interface ScoredProbabilities {
  /** N x C. */
  readonly p: Float64Array
  /** N class numbers, or N x C of 0 and 1. */
  readonly labels: Float64Array
  readonly outputs: number
}

/** Predictive distributions of numbers with their labels. */
export interface ScoredNumbers {
  /** E[y], N x K. */
  readonly mean: Float64Array
  /** Var[y], N x K: noise included. */
  readonly variance: Float64Array
  /** Of counts: the Gaussians of the logarithms of their rates. Other distributions are Gaussian. */
  readonly logRates?: { readonly mean: Float64Array, readonly variance: Float64Array }
  /** N x C x C, noise included; absent where only variances are known. */
  readonly covariance?: Float64Array
  /** Of a mixture: the distributions that it is made of. */
  readonly members?: readonly WeightedNumbers[]
  readonly labels: Float64Array
  readonly outputs: number
}

/** The distribution of a member, and its weight. */
export interface WeightedNumbers {
  readonly weight: number
  readonly scored: ScoredNumbers
}

/** The likelihood, where predictions have scores. @throws OptionError UNKNOWN_WORD, BAD_COMBINATION */
export function checkScored(likelihood: Likelihood): LogitLikelihood | NumberLikelihood {
  const name = oneOf('likelihood', likelihood, LIKELIHOODS)
  if (hasLogits(name) || hasNumbers(name)) return name
  throw new OptionError('BAD_COMBINATION',
    `Scores (compare, evaluate, report) are of observations; of likelihood '${name}' only the outputs are predicted. `
      + 'Their means and variances are in a prediction, for scores of your own.', { likelihood: name })
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
 * @param sigmaNoise observation noise of regression: of all outputs, or one each
 * @throws OptionError, DataError, ShapeError
 */
export function scoredNumbers(likelihood: NumberLikelihood, y: Tensor, prediction: ScoredPrediction,
  sigmaNoise: number | ArrayLike<number>): ScoredNumbers {
  if (prediction.members !== undefined) return mixedNumbers(likelihood, y, prediction.members)
  const { mean, variance, covariance } = prediction
  if (mean === undefined) {
    throw new OptionError('BAD_COMBINATION', `metrics of ${likelihood} need the mean.`, { likelihood })
  }
  const outputs = columns(mean, 'mean')
  const examples = mean.shape[0]
  const labels = checkLabels(y, likelihood, examples, plainLayout(outputs)).values
  const f = toFloat64(mean)
  const ofFunction = functionVariance(f, variance, covariance, outputs)
  const { observation } = likelihoodModel(likelihood)
  if (observation !== undefined) {
    const moments = observation.moments(f, ofFunction, examples, outputs)
    return { mean: moments.mean, variance: moments.aleatoric.map((value, i) => value + moments.epistemic[i]), labels,
      outputs: labels.length / examples,
      ...(likelihood === 'poisson' ? { logRates: { mean: f, variance: ofFunction } } : {}) }
  }
  const noise = noiseVariances(sigmaNoise, outputs)
  const scored = { mean: f, variance: ofFunction.map((value, i) => value + noise[i % outputs]), labels, outputs }
  return covariance === undefined ? scored : { ...scored, covariance: withNoise(covariance, noise, outputs) }
}

/** A mixture by the moments of its members, and the members themselves. */
function mixedNumbers(likelihood: NumberLikelihood, y: Tensor, given: readonly ScoredMember[]): ScoredNumbers {
  const members = given.map(({ weight, sigmaNoise, ...prediction }): WeightedNumbers => ({ weight,
    scored: scoredNumbers(likelihood, y, prediction, sigmaNoise) })
  )
  const [{ scored: { labels, outputs } }] = members
  const sum = (of: (scored: ScoredNumbers, i: number) => number): Float64Array =>
    labels.map((_, i) => members.reduce((total, { weight, scored }) => total + weight * of(scored, i), 0))
  const mean = sum((scored, i) => scored.mean[i])
  return { mean, variance: sum((scored, i) => scored.variance[i] + (scored.mean[i] - mean[i]) ** 2), labels, outputs,
    members }
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
