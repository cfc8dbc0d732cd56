/** @file The inverse and log determinant of P = s H + diag(delta) for any s and delta that a search may come to. */
import { cholesky, choleskyInverse, gemm, symmetricEigen } from '../kernels/linear-algebra.js'

export interface PrecisionInverse {
  readonly logDet: number
  /** P^-1, size x size. */
  readonly inverse: Float64Array
}

/**
 * By a Cholesky factor; where s H swamps the prior and the factorisation fails, by the eigenvalues of H.
 * @param h H, size x size, not negative definite
 * @param delta of every parameter
 */
export function precisionInverse(h: Float64Array, size: number, scale: number, delta: Float64Array): PrecisionInverse {
  const precision = h.map(value => scale * value)
  for (let i = 0; i < size; i++) precision[i * size + i] += delta[i]
  if (cholesky(size, precision) >= 0) return spectralInverse(h, size, scale, delta)
  let logDet = 0
  for (let i = 0; i < size; i++) logDet += 2 * Math.log(precision[i * size + i])
  return { logDet, inverse: choleskyInverse(size, precision) }
}

/**
 * With D = diag(delta) and D^-1/2 H D^-1/2 = V diag(m) V': P^-1 = D^-1/2 V diag(1 / (s m + 1)) V' D^-1/2 and
 * log|P| = sum log delta + sum log(s m + 1). Eigenvalues below the rounding of the largest one count as 0: multiplied by a
 * large s they would pass for data where there are none.
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
  return { logDet, inverse }
}
