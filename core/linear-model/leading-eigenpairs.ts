/** @file The eigenpairs of a symmetric matrix above a threshold. */
import { symmetricEigen } from '../kernels/linear-algebra.js'

/** Eigenpairs, the largest first; `vectors` holds one eigenvector a row. */
export interface Eigenpairs {
  readonly values: Float64Array
  readonly vectors: Float64Array
}

/** The eigenpairs of a positive semi-definite n x n matrix whose eigenvalue is above the threshold, at most so many. */
export function leadingEigenpairs(n: number, matrix: Float64Array, threshold: number, most = n): Eigenpairs {
  const { values, vectors } = symmetricEigen(n, matrix)
  const order = Array.from(values.keys()).filter(i => values[i] > threshold).sort((a, b) => values[b] - values[a])
    .slice(0, most)
  const rows = new Float64Array(order.length * n)
  order.forEach((column, row) => {
    for (let i = 0; i < n; i++) rows[row * n + i] = vectors[i * n + column]
  })
  return { values: Float64Array.from(order, i => values[i]), vectors: rows }
}
