/**
 * @file The eigenbasis of one output's linear model, by which every prior precision and noise is tried: of K = J J'
 * where rows are fewer, of J'J where weights are.
 */
import { accumulateFull } from '../curvature/full.js'
import { jacobianGram } from '../curvature/jacobian-gram.js'
import { addTransposedProduct, jacobianTimes } from '../curvature/jacobian-products.js'
import { outputJacobian } from '../curvature/jacobian.js'
import { joinVectors, splitVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import { pauseInLoop } from '../kernels/interruption.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { takeRows } from '../tensor/rows.js'
import type { GaussianSpectrum } from './gaussian-evidence.js'
import type { LinearProblem } from './linear-problem.js'

/** What the linear model of a regression is made of. */
export type RegressionRows = Pick<LinearProblem,
  'slots' | 'jacobian' | 'examples' | 'outputs' | 'labels' | 'f0' | 'sizes'>

/** Eigenpairs of K = J J' of one output. */
export interface OutputBasis extends GaussianSpectrum {
  /** One left eigenvector a row: r x N. */
  readonly left: Float64Array
  /** J' v_i = sqrt(l_i) times the right eigenvector of some of them, k x P: their images in weight space. */
  images(some: readonly number[]): Float64Array
  /** sum c_i J' v_i, P. */
  image(coefficients: Float64Array): Float64Array
}

/** Eigenvalues below this share of the largest are nothing but rounding. */
const NEGLIGIBLE = 1e-12

/** y - f0 of one output, N. */
function targets({ labels, f0, outputs, examples }: RegressionRows, c: number): Float64Array {
  return Float64Array.from({ length: examples }, (_, n) => labels[n * outputs + c] - f0[n * outputs + c])
}

/** The basis of output c. */
export function outputBasis(rows: RegressionRows, c: number): OutputBasis {
  const jacobian = outputJacobian(rows.jacobian, c)
  const y = targets(rows, c)
  return parameterCount(rows.slots) < rows.examples
    ? weightBasis(rows, jacobian, y)
    : functionBasis(rows, jacobian, y)
}

/** From K, N x N. */
function functionBasis({ slots, examples }: RegressionRows, jacobian: FactoredJacobian, y: Float64Array): OutputBasis {
  const { values, vectors } = symmetricEigen(examples, jacobianGram(slots, jacobian, jacobian))
  const kept = largeEnough(values)
  const left = new Float64Array(kept.length * examples)
  kept.forEach((column, i) => {
    pauseInLoop(examples)
    for (let n = 0; n < examples; n++) left[i * examples + n] = vectors[n * examples + column]
  })
  return {
    ...coordinatesIn(left, y, kept.length),
    values: Float64Array.from(kept, i => values[i]),
    left,
    images: some => imagesOf(slots, jacobian, some.map(i => left.subarray(i * examples, (i + 1) * examples))),
    image: coefficients => {
      const sum = new Float64Array(examples)
      gemm(false, false, 1, examples, kept.length, 1, coefficients, left, 0, sum)
      return imagesOf(slots, jacobian, [sum])
    },
  }
}

/** J' v of each of k vectors, k x P. */
function imagesOf(slots: LinearProblem['slots'], jacobian: FactoredJacobian,
  vectors: readonly Float64Array[]): Float64Array {
  const { examples } = jacobian
  const count = vectors.length
  const sums = zeroVectors(slots, count)
  const mixed = new Float64Array(examples * count)
  vectors.forEach((vector, i) => {
    pauseInLoop(examples)
    for (let n = 0; n < examples; n++) mixed[n * count + i] = vector[n]
  })
  addTransposedProduct(sums, jacobian, mixed)
  return joinVectors(slots, sums)
}

/** From J'J, P x P: the left eigenvectors are J v / sqrt(l). */
function weightBasis({ slots, examples }: RegressionRows, jacobian: FactoredJacobian, y: Float64Array): OutputBasis {
  const size = parameterCount(slots)
  const matrix = new Float64Array(size * size)
  accumulateFull(matrix, size, slots, jacobian)
  const { values, vectors } = symmetricEigen(size, matrix)
  const kept = largeEnough(values)
  const images = new Float64Array(kept.length * size)
  kept.forEach((column, i) => {
    for (let j = 0; j < size; j++) images[i * size + j] = vectors[j * size + column] * Math.sqrt(values[column])
  })
  const moved = jacobianTimes(jacobian, splitVectors(slots, images, kept.length))
  const left = new Float64Array(kept.length * examples)
  for (let n = 0; n < examples; n++) {
    kept.forEach((column, i) => {
      left[i * examples + n] = moved[n * kept.length + i] / values[column]
    })
  }
  return {
    ...coordinatesIn(left, y, kept.length),
    values: Float64Array.from(kept, i => values[i]),
    left,
    images: some => some.length === kept.length ? images : takeRows(images, Int32Array.from(some), size),
    image: coefficients => {
      const sum = new Float64Array(size)
      gemm(false, false, 1, size, kept.length, 1, coefficients, images, 0, sum)
      return sum
    },
  }
}

function largeEnough(values: Float64Array): number[] {
  const largest = values.reduce((most, value) => Math.max(most, value), 0)
  return Array.from(values.keys()).filter(i => values[i] > NEGLIGIBLE * largest)
}

function coordinatesIn(left: Float64Array, y: Float64Array,
  count: number): { coordinates: Float64Array, others: number, otherSquares: number } {
  const coordinates = new Float64Array(count)
  gemm(false, false, count, 1, y.length, 1, left, y, 0, coordinates)
  const inside = coordinates.reduce((sum, b) => sum + b * b, 0)
  const all = y.reduce((sum, value) => sum + value * value, 0)
  return { coordinates, others: y.length - count, otherSquares: y.length === count ? 0 : Math.max(0, all - inside) }
}
