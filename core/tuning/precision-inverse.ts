/** @file The inverse and log determinant of P = s H + diag(delta) for any s and delta that a search may come to. */
import { cholesky, choleskyInverse, gemm, symmetricEigen } from '../kernels/linear-algebra.js'

/** The posterior covariance with what tuning reads of it. */
export interface PrecisionInverse {
  /**
   * How far rounding may move the traces of delta P^-1, relative to the number of parameters: 0 where it is no
   * concern.
   */
  readonly rounding: number
  readonly logDet: number
  /** P^-1, size x size. */
  readonly inverse: Float64Array
}

/**
 * Beyond this ratio of s H to the prior a Cholesky factor has few digits left in the directions that H leaves free:
 * traces would change from one call to the next by more than a search waits for.
 */
const LARGEST_RATIO = 1e10

/**
 * By a Cholesky factor; where s H swamps the prior, by the eigenvalues of H.
 * @param h H, size x size, not negative definite
 * @param delta of every parameter
 */
export function precisionInverse(h: Float64Array, size: number, scale: number, delta: Float64Array): PrecisionInverse {
  const ratio = delta.reduce((most, value, i) => Math.max(most, scale * h[i * size + i] / value), 0)
  if (ratio > LARGEST_RATIO) return spectralInverse(h, size, scale, delta)
  const precision = h.map(value => scale * value)
  for (let i = 0; i < size; i++) precision[i * size + i] += delta[i]
  if (cholesky(size, precision) >= 0) return spectralInverse(h, size, scale, delta)
  let logDet = 0
  for (let i = 0; i < size; i++) logDet += 2 * Math.log(precision[i * size + i])
  return { rounding: 0, logDet, inverse: choleskyInverse(size, precision) }
}

/**
 * With D = diag(delta) and D^-1/2 H D^-1/2 = V diag(m) V': P^-1 = D^-1/2 V diag(1 / (s m + 1)) V' D^-1/2 and
 * log|P| = sum log delta + sum log(s m + 1). Eigenvalues below the rounding of the largest one count as 0: multiplied
 * by a large s they would pass for data where there are none.
 */
export function spectralInverse(h: Float64Array, size: number, scale: number, delta: Float64Array): PrecisionInverse {
  const root = delta.map(Math.sqrt)
  const scaled = h.map((value, at) => value / root[Math.floor(at / size)] / root[at % size])
  const { values, vectors } = symmetricEigen(size, scaled)
  const rounding = size * Number.EPSILON * Math.max(0, values[size - 1] ?? 0)
  const precision = values.map(value => (value > rounding ? scale * value : 0) + 1)
  let logDet = 0
  for (let i = 0; i < size; i++) logDet += Math.log(delta[i]) + Math.log(precision[i])
  const rows = vectors.map((value, at) => value / root[Math.floor(at / size)] / Math.sqrt(precision[at % size]))
  const inverse = new Float64Array(size * size)
  gemm(false, true, size, size, size, 1, rows, rows, 0, inverse)
  return { rounding: scale * rounding / size, logDet, inverse }
}
