/**
 * @file Negative log-likelihood of held-out labels: the score that tuning and the demo are judged by. Lower is better.
 */
import { NumericalError } from '../errors/errors.js'
import { cholesky, triangularSolve } from '../kernels/linear-algebra.js'

const LOG_2PI = Math.log(2 * Math.PI)

/** Keeps a probability of exactly 0 from making the mean infinite. */
const SMALLEST = 1e-300

/**
 * Mean over points of -log p[y].
 * @param p N x C probabilities
 * @param y N class numbers
 */
export function categoricalNll(p: Float64Array, y: Float64Array, outputs: number): number {
  let sum = 0
  for (let n = 0; n < y.length; n++) sum -= Math.log(p[n * outputs + y[n]] + SMALLEST)
  return sum / y.length
}

/**
 * Mean over points of -sum_c [y log p + (1 - y) log(1 - p)].
 * @param p N x C probabilities of independent labels
 * @param y N x C of 0 and 1
 */
export function bernoulliNll(p: Float64Array, y: Float64Array, outputs: number): number {
  let sum = 0
  for (let i = 0; i < y.length; i++) sum -= Math.log((y[i] === 1 ? p[i] : 1 - p[i]) + SMALLEST)
  return sum / (y.length / outputs)
}

/** -log N of a residual with that square. */
export function negativeLogNormal(square: number, variance: number): number {
  return 0.5 * (Math.log(2 * Math.PI * variance) + square / variance)
}

/**
 * Mean over all entries of -log N(y; mean, variance).
 * @param variance predictive variances, noise included
 */
export function gaussianNll(mean: Float64Array, variance: Float64Array, y: Float64Array): number {
  let sum = 0
  for (let i = 0; i < y.length; i++) {
    sum += negativeLogNormal((y[i] - mean[i]) ** 2, variance[i])
  }
  return sum / y.length
}

/**
 * Mean over points of -log N(y; mean, S), the C outputs of a point together.
 * @param mean N x C
 * @param covariance N x C x C predictive covariances S, noise included
 * @throws NumericalError NOT_POSITIVE_DEFINITE
 */
export function jointGaussianNll(mean: Float64Array, covariance: Float64Array, y: Float64Array,
  outputs: number): number {
  const examples = y.length / outputs
  let sum = 0
  for (let n = 0; n < examples; n++) {
    const residual = Float64Array.from({ length: outputs }, (_, c) => y[n * outputs + c] - mean[n * outputs + c])
    sum += negativeLogDensity(residual, covariance.slice(n * outputs * outputs, (n + 1) * outputs * outputs))
  }
  return sum / examples
}

/** 1/2 [ |L^-1 r|^2 + log det S + C log 2 pi ] with S = L L^T; both arguments are overwritten. */
function negativeLogDensity(residual: Float64Array, covariance: Float64Array): number {
  const outputs = residual.length
  const pivot = cholesky(outputs, covariance)
  if (pivot >= 0) {
    throw new NumericalError('NOT_POSITIVE_DEFINITE',
      `A predictive covariance (${outputs} x ${outputs}) is not positive definite, at pivot ${pivot}.`, { pivot,
      size: outputs })
  }
  triangularSolve(false, outputs, 1, covariance, residual)
  let sum = outputs * LOG_2PI
  for (let c = 0; c < outputs; c++) sum += residual[c] ** 2 + 2 * Math.log(covariance[c * outputs + c])
  return sum / 2
}
