/** @file Functions of I - U'U, where the rows of U are orthogonal, applied to vectors. */
import { gemm } from '../kernels/linear-algebra.js'

/** U, rank x P: orthogonal rows with squared norms below 1. */
export interface OrthogonalRows {
  readonly rank: number
  readonly rows: Float64Array
}

/** |u_k|^2 = l_k / (l_k + delta), the share of the data in each direction's precision. */
export function shares({ rank, rows }: OrthogonalRows): Float64Array {
  const size = rows.length / Math.max(1, rank)
  return Float64Array.from({ length: rank }, (_, k) => {
    let sum = 0
    for (let i = k * size; i < (k + 1) * size; i++) sum += rows[i] * rows[i]
    // Rounding can bring a direction that the data determine alone to 1 and above, where its precision would be
    // infinite.
    return Math.min(sum, 1 - 1e-15)
  })
}

/** v + sum_k c(t_k) (u_k . v) u_k / t_k for the rows v, with t_k = |u_k|^2: a function of I - U'U in its eigenbasis. */
export function applied(model: OrthogonalRows, size: number, vectors: Float64Array, count: number,
  coefficient: (share: number) => number): Float64Array {
  const { rank, rows } = model
  const inside = new Float64Array(count * rank)
  gemm(false, true, count, rank, size, 1, vectors, rows, 0, inside)
  const scale = shares(model).map(share => (share > 0 ? coefficient(share) / share : 0))
  for (let i = 0; i < inside.length; i++) inside[i] *= scale[i % rank]
  const result = vectors.slice()
  gemm(false, false, count, size, rank, 1, inside, rows, 1, result)
  return result
}
