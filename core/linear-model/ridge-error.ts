/**
 * @file How often a linear model of features names the class of a row wrongly that it has not seen: ridge regression of
 * one-hot labels, prior and noise of every class by the evidence, and each row left out in closed form,
 * f_-i = f_i + h_i (f_i - y_i) / (1 - h_i) with h_i on the diagonal of the hat matrix.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { pauseInLoop } from '../kernels/interruption.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import { tuneGaussian } from './gaussian-evidence.js'

/** Eigenvalues below this share of the largest are nothing but rounding. */
const NEGLIGIBLE = 1e-12
/** The smallest part of a row's precision that is left without it. */
const SMALLEST_REST = 1e-10

/** Rows with their features, a constant among them: N x D, and their classes. */
export interface FeatureRows {
  readonly phi: Float64Array
  readonly labels: Float64Array
  readonly examples: number
  readonly classes: number
}

/** The share of rows whose class the model of all other rows does not name. */
export function ridgeError({ phi, labels, examples, classes }: FeatureRows, work: WorkOptions): number {
  const { values, left } = spectrum(phi, examples)
  const best = new Float64Array(examples).fill(-Infinity)
  const named = new Int32Array(examples)
  for (let c = 0; c < classes; c++) {
    throwIfCancelled(work.signal)
    const share = labels.reduce((sum, label) => sum + (label === c ? 1 / examples : 0), 0)
    const y = labels.map(label => (label === c ? 1 : 0) - share)
    leftOut(values, left, y, share * (1 - share)).forEach((value, n) => {
      if (value + share <= best[n]) return
      best[n] = value + share
      named[n] = c
    })
  }
  return labels.reduce((sum, label, n) => sum + (named[n] === label ? 0 : 1 / examples), 0)
}

/** Eigenvalues of phi phi' and its eigenvectors, one a row, r x N. */
function spectrum(phi: Float64Array, examples: number): { values: Float64Array, left: Float64Array } {
  const gram = new Float64Array(examples * examples)
  gemm(false, true, examples, examples, phi.length / examples, 1, phi, phi, 0, gram)
  const { values, vectors } = symmetricEigen(examples, gram)
  const largest = values.reduce((most, value) => Math.max(most, value), 0)
  const kept = Array.from(values.keys()).filter(i => values[i] > NEGLIGIBLE * largest)
  const left = new Float64Array(kept.length * examples)
  kept.forEach((column, i) => {
    pauseInLoop(examples)
    for (let n = 0; n < examples; n++) left[i * examples + n] = vectors[n * examples + column]
  })
  return { values: Float64Array.from(kept, i => values[i]), left }
}

/** f_-n of every row. */
function leftOut(values: Float64Array, left: Float64Array, y: Float64Array, variance: number): Float64Array {
  const examples = y.length
  const coordinates = new Float64Array(values.length)
  gemm(false, false, values.length, 1, examples, 1, left, y, 0, coordinates)
  const inside = coordinates.reduce((sum, b) => sum + b * b, 0)
  const all = y.reduce((sum, value) => sum + value * value, 0)
  const { delta, sigma } = tuneGaussian({ values, coordinates, others: examples - values.length,
    otherSquares: examples === values.length ? 0 : Math.max(0, all - inside) }, variance)
  const f = new Float64Array(examples)
  const leverage = new Float64Array(examples)
  values.forEach((l, i) => {
    pauseInLoop(2 * examples)
    const share = l / (l + delta * sigma * sigma)
    for (let n = 0; n < examples; n++) {
      const v = left[i * examples + n]
      f[n] += share * coordinates[i] * v
      leverage[n] += share * v * v
    }
  })
  return f.map((value, n) => value + leverage[n] * (value - y[n]) / Math.max(SMALLEST_REST, 1 - leverage[n]))
}
