/**
 * @file Predictive probabilities and their entropy by sampling outputs from N(f, f_var).
 *
 * One set of standard normal draws serves every example, so that an example's answer does not depend on the batch it is
 * in.
 */
import { checkBytes } from '../budget/memory.js'
import { cholesky, gemm } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { sigmoid, softplus } from '../likelihood/sigmoid.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { randomGenerator } from '../tensor/random.js'
import type { Draws, GaussianOutputs } from './gaussian-outputs.js'

/** Averages over draws: the probabilities and the entropy of each draw's probabilities, in nats. */
export interface MonteCarloAverage {
  /** N x C. */
  readonly probabilities: Float64Array
  /** N for classification, N x C per label otherwise. */
  readonly expectedEntropy: Float64Array
}

/**
 * What the sampled form of the link needs: C x C for classification, whose outputs are compared; variances for
 * independent labels.
 */
export function monteCarloNeeds(likelihood: LikelihoodModel): VarianceKind {
  return likelihood.name === 'classification' ? 'covariance' : 'diagonal'
}

/**
 * Averages of the inverse link over seeded draws of N(f, f_var).
 * @param gaussian with covariances for classification (`monteCarloNeeds`), else with variances
 * @throws ResourceError OUT_OF_MEMORY for more draws than can be held
 */
export function monteCarlo(likelihood: LikelihoodModel, gaussian: GaussianOutputs,
  { samples, seed }: Draws): MonteCarloAverage {
  checkBytes('The draws of the outputs', 16 * samples * gaussian.outputs, 'Take fewer of them (option samples).')
  const draws = randomGenerator(seed).fillNormal(new Float64Array(samples * gaussian.outputs))
  return likelihood.name === 'classification' ? softmaxAverage(gaussian, draws) : sigmoidAverage(gaussian, draws)
}

/** @param draws S x C */
function softmaxAverage({ f, variance: covariance, examples, outputs }: GaussianOutputs,
  draws: Float64Array): MonteCarloAverage {
  const samples = draws.length / outputs
  const probabilities = new Float64Array(examples * outputs)
  const expectedEntropy = new Float64Array(examples)
  const logits = new Float64Array(samples * outputs)
  const weights = new Float64Array(outputs)
  for (let n = 0; n < examples; n++) {
    const mean = f.subarray(n * outputs, (n + 1) * outputs)
    const root = semidefiniteRoot(covariance.subarray(n * outputs * outputs, (n + 1) * outputs * outputs), outputs)
    for (let s = 0; s < samples; s++) logits.set(mean, s * outputs)
    gemm(false, true, samples, outputs, outputs, 1, draws, root, 1, logits)
    const total = probabilities.subarray(n * outputs, (n + 1) * outputs)
    let entropy = 0
    for (let s = 0; s < samples; s++) entropy += addSoftmax(logits, s * outputs, outputs, weights, total)
    for (let c = 0; c < outputs; c++) total[c] /= samples
    expectedEntropy[n] = entropy / samples
  }
  return { probabilities, expectedEntropy }
}

/** Adds softmax of the logits at `at` to `total`; returns its entropy log Z - sum p_c (f_c - max). */
function addSoftmax(logits: Float64Array, at: number, outputs: number, weights: Float64Array,
  total: Float64Array): number {
  let max = -Infinity
  for (let c = 0; c < outputs; c++) if (logits[at + c] > max) max = logits[at + c]
  let sum = 0
  let moment = 0
  for (let c = 0; c < outputs; c++) {
    const z = logits[at + c] - max
    const e = Math.exp(z)
    weights[c] = e
    sum += e
    if (e > 0) moment += e * z
  }
  const scale = 1 / sum
  for (let c = 0; c < outputs; c++) total[c] += weights[c] * scale
  return Math.log(sum) - moment * scale
}

/** @param draws S x C */
function sigmoidAverage({ f, variance, examples, outputs }: GaussianOutputs, draws: Float64Array): MonteCarloAverage {
  const samples = draws.length / outputs
  const probabilities = new Float64Array(examples * outputs)
  const expectedEntropy = new Float64Array(examples * outputs)
  for (let i = 0; i < probabilities.length; i++) {
    // Rounding can put a variance just below 0, whose root would make every probability NaN.
    const deviation = Math.sqrt(Math.max(0, variance[i]))
    const c = i % outputs
    let sum = 0
    let entropy = 0
    for (let s = 0; s < samples; s++) {
      const z = f[i] + deviation * draws[s * outputs + c]
      const p = sigmoid(z)
      sum += p
      entropy += softplus(z) - p * z
    }
    probabilities[i] = sum / samples
    expectedEntropy[i] = entropy / samples
  }
  return { probabilities, expectedEntropy }
}

/** Outputs from which on the blocked kernel is worth a second attempt where a pivot is zero. */
const MANY_OUTPUTS = 64

/**
 * Lower-triangular L with L L' = S for a semidefinite S (C x C): a pivot that is zero up to rounding gives a zero
 * column.
 */
export function semidefiniteRoot(matrix: Float64Array, size: number): Float64Array {
  if (size >= MANY_OUTPUTS) {
    const copy = matrix.slice()
    if (cholesky(size, copy) < 0) return copy
  }
  const root = new Float64Array(size * size)
  let largest = 0
  for (let i = 0; i < size; i++) largest = Math.max(largest, matrix[i * size + i])
  const tolerance = size * Number.EPSILON * largest
  for (let j = 0; j < size; j++) {
    let pivot = matrix[j * size + j]
    for (let p = 0; p < j; p++) pivot -= root[j * size + p] ** 2
    if (!(pivot > tolerance)) continue
    const diagonal = root[j * size + j] = Math.sqrt(pivot)
    for (let i = j + 1; i < size; i++) {
      let sum = matrix[i * size + j]
      for (let p = 0; p < j; p++) sum -= root[i * size + p] * root[j * size + p]
      root[i * size + j] = sum / diagonal
    }
  }
  return root
}
