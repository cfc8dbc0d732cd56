/**
 * @file Eigenvectors of a Kronecker factor as a change of coordinates.
 *
 * A factor of low rank keeps the r eigenvectors U of its range alone: on the rest of the space it is 0, whatever basis
 * is taken there. In place of one, coordinates x -> (U'x, x - U U'x), r + n of them, are used: a diagonal matrix in
 * these, with one number for the last n, is the same operator as in a whole eigenbasis.
 */
import { gemm } from '../kernels/linear-algebra.js'

/** Orthonormal eigenvectors: all of a space of `size` dimensions, or those of the range of a factor of low rank. */
export interface Eigenbasis {
  readonly size: number
  /** r, `size` where they are all. */
  readonly rank: number
  /** size x r, in columns. */
  readonly vectors: Float64Array
}

/** Whether some of the space is not spanned. */
export function isThin({ size, rank }: Eigenbasis): boolean {
  return rank < size
}

/** Number of coordinates. */
export function coordinates(basis: Eigenbasis): number {
  return isThin(basis) ? basis.rank + basis.size : basis.size
}

/** Coordinates of `count` vectors, the rows of a count x size matrix. */
export function toCoordinates(basis: Eigenbasis, vectors: Float64Array, count: number): Float64Array {
  const { size, rank } = basis
  const inside = new Float64Array(count * rank)
  gemm(false, false, count, rank, size, 1, vectors, basis.vectors, 0, inside)
  if (!isThin(basis)) return inside
  const outside = vectors.slice()
  gemm(false, true, count, size, rank, -1, inside, basis.vectors, 1, outside)
  return beside(inside, rank, outside, size, new Float64Array(count * (rank + size)))
}

/** The vectors of coordinates, count x size: U y1 + (I - U U') y2. */
export function fromCoordinates(basis: Eigenbasis, rows: Float64Array, count: number): Float64Array {
  const { size, rank } = basis
  if (!isThin(basis)) {
    const vectors = new Float64Array(count * size)
    gemm(false, true, count, size, size, 1, rows, basis.vectors, 0, vectors)
    return vectors
  }
  const inside = new Float64Array(count * rank)
  const vectors = new Float64Array(count * size)
  for (let n = 0; n < count; n++) {
    const at = n * (rank + size)
    inside.set(rows.subarray(at, at + rank), n * rank)
    vectors.set(rows.subarray(at + rank, at + rank + size), n * size)
  }
  gemm(false, false, count, rank, size, -1, vectors, basis.vectors, 1, inside)
  gemm(false, true, count, size, rank, 1, inside, basis.vectors, 1, vectors)
  return vectors
}

/** The rows of two matrices one beside the other, in `result`. */
export function beside<A extends Float64Array | Float32Array>(left: A, widthLeft: number, right: A, widthRight: number,
  result: A): A {
  const width = widthLeft + widthRight
  for (let n = 0; n * width < result.length; n++) {
    result.set(left.subarray(n * widthLeft, (n + 1) * widthLeft), n * width)
    result.set(right.subarray(n * widthRight, (n + 1) * widthRight), n * width + widthLeft)
  }
  return result
}

/** The diagonal of Q diag(w) Q' for every row w of a rows x coordinates matrix, rows x size. */
export function diagonalsIn(basis: Eigenbasis, weights: Float64Array, rows: number): Float64Array {
  const { size, rank, vectors } = basis
  const squares = vectors.map(value => value * value)
  const result = new Float64Array(rows * size)
  const width = coordinates(basis)
  const inside = isThin(basis) ? new Float64Array(rows * rank) : weights
  if (isThin(basis)) {
    const rest = new Float64Array(size)
    for (let i = 0; i < size; i++) {
      rest[i] = Math.max(0, 1 - squares.subarray(i * rank, (i + 1) * rank).reduce((sum, value) => sum + value, 0))
    }
    for (let r = 0; r < rows; r++) {
      inside.set(weights.subarray(r * width, r * width + rank), r * rank)
      const outside = weights[(r + 1) * width - 1]
      for (let i = 0; i < size; i++) result[r * size + i] = outside * rest[i]
    }
  }
  gemm(false, true, rows, size, rank, 1, inside, squares, 1, result)
  return result
}
