/** @file The variance of the outputs under a full precision, a few rows of the Jacobian at a time. */
import { denseJacobian } from '../curvature/jacobian.js'
import { addRowDots, gemm, triangularSolve, triangularSolveRight } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { putVariances } from './variance-kind.js'
import type { VarianceKind } from './variance-kind.js'

/** Bytes of one block of Jacobian rows. */
const BLOCK_BYTES = 1 << 24

/** V -> V L^-T for the rows V (count x P) and a Cholesky factor L of P: R R' = V P^-1 V'. */
export function whitenWith(factor: Float64Array): (vectors: Float64Array, count: number) => Float64Array {
  const size = Math.sqrt(factor.length)
  return (vectors, count) => {
    const rows = vectors.slice()
    triangularSolveRight(size, count, factor, rows)
    return rows
  }
}

/** L^-1 V' for the rows V (count x size): size x count. */
export function solveLower(lower: Float64Array, size: number, vectors: Float64Array, count: number): Float64Array {
  const columns = transpose(vectors, count, size)
  triangularSolve(false, size, count, lower, columns)
  return columns
}

/** The transpose of a rows x columns matrix: columns x rows. */
export function transpose(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j]
  return result
}

/**
 * The squared norms of the rows of J L^-T, for the Cholesky factor L of the precision: N x C variances; or their
 * products, N x C x C covariances.
 */
export function functionalVarianceByRows(factor: Float64Array, slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian, kind: VarianceKind): Float64Array {
  const { seeds, examples } = jacobian
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  const variances = new Float64Array(examples * seeds)
  const covariances = new Float64Array(kind === 'covariance' ? examples * seeds * seeds : 0)
  const step = Math.max(1, Math.floor(BLOCK_BYTES / (8 * seeds * size)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = denseJacobian(slots, jacobian, from, to)
    triangularSolveRight(size, (to - from) * seeds, factor, rows)
    addRowDots(size, rows, rows, variances.subarray(from * seeds, to * seeds))
    if (kind === 'diagonal') continue
    for (let n = from; n < to; n++) {
      const own = rows.subarray((n - from) * seeds * size, (n - from + 1) * seeds * size)
      gemm(false, true, seeds, seeds, size, 1, own, own, 0,
        covariances.subarray(n * seeds * seeds, (n + 1) * seeds * seeds))
    }
  }
  if (kind === 'diagonal') return variances
  putVariances(covariances, variances, seeds)
  return covariances
}
