/** @file The leading eigenpairs of a symmetric matrix that is there, and of one that only multiplies vectors. */
import { pauseInLoop } from '../kernels/interruption.js'
import { cholesky, gemm, symmetricEigen, triangularSolve } from '../kernels/linear-algebra.js'

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
    pauseInLoop(n)
    for (let i = 0; i < n; i++) rows[row * n + i] = vectors[i * n + column]
  })
  return { values: Float64Array.from(order, i => values[i]), vectors: rows }
}

/** Eigenvalues below this share of the largest number on the diagonal are rounding. */
const ROUNDING = 1e-14

/** The eigenpairs of a positive semi-definite n x n matrix above a share of its largest number, its diagonal's. */
export function eigenpairsOfMatrix(n: number, matrix: Float64Array, threshold = ROUNDING): Eigenpairs {
  let largest = 0
  for (let i = 0; i < n; i++) largest = Math.max(largest, matrix[i * n + i])
  return leadingEigenpairs(n, matrix, threshold * largest)
}

/** The eigenpairs of V'V, above a share of its largest number; `size` is the length of a row of V. */
export function eigenpairsOfRows(V: Float64Array, size: number, threshold = ROUNDING): Eigenpairs {
  const count = V.length / size
  const [n, transposed] = count <= size ? [count, false] : [size, true]
  const gram = new Float64Array(n * n)
  if (transposed) gemm(true, false, n, n, count, 1, V, V, 0, gram)
  else gemm(false, true, n, n, size, 1, V, V, 0, gram)
  const pairs = eigenpairsOfMatrix(n, gram, threshold)
  if (transposed) return pairs
  const vectors = new Float64Array(pairs.values.length * size)
  const scaled = pairs.vectors.map((value, i) => value / Math.sqrt(pairs.values[Math.floor(i / n)]))
  gemm(false, false, pairs.values.length, size, n, 1, scaled, V, 0, vectors)
  return { values: pairs.values, vectors }
}

/** What is added to H, as a share of its largest product, so that rounding does not make the basis singular. */
const SHIFT = 1e-10

/**
 * Nystroem's approximation of H from its products with a basis V: H V' (V H V')^-1 V H, which is H itself where V
 * spans what H reaches, and never more than H (Tropp, Yurtsever, Udell and Cevher 2017).
 * @param basis V, orthonormal rows, count x n
 * @param products H v of every row, count x n; overwritten
 */
export function eigenpairsOfProducts(count: number, basis: Float64Array, products: Float64Array): Eigenpairs {
  const n = products.length / Math.max(1, count)
  let largest = 0
  for (let at = 0; at < products.length; at += n) {
    pauseInLoop(2 * n)
    for (let i = at; i < at + n; i++) largest = Math.max(largest, Math.abs(products[i]))
  }
  const shift = SHIFT * largest
  for (let at = 0; at < products.length; at += n) {
    pauseInLoop(2 * n)
    for (let i = at; i < at + n; i++) products[i] += shift * basis[i]
  }
  const inner = new Float64Array(count * count)
  gemm(false, true, count, count, n, 1, basis, products, 0, inner)
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < i; j++) {
      inner[i * count + j] = inner[j * count + i] = (inner[i * count + j] + inner[j * count + i]) / 2
    }
  }
  // Directions that H does not reach, or that are there twice, are left out.
  const { values, vectors } = leadingEigenpairs(count, inner, SHIFT * shift)
  const half = new Float64Array(values.length * n)
  const scaled = vectors.map((value, i) => value / Math.sqrt(values[Math.floor(i / count)]))
  gemm(false, false, values.length, n, count, 1, scaled, products, 0, half)
  return withoutShift(half, values.length, n, shift)
}

/** The eigenpairs of B'B - shift for the rows of B. */
function withoutShift(rows: Float64Array, count: number, n: number, shift: number): Eigenpairs {
  const gram = new Float64Array(count * count)
  gemm(false, true, count, count, n, 1, rows, rows, 0, gram)
  const { values, vectors } = leadingEigenpairs(count, gram, shift)
  const scaled = vectors.map((value, i) => value / Math.sqrt(values[Math.floor(i / count)]))
  const result = new Float64Array(values.length * n)
  gemm(false, false, values.length, n, count, 1, scaled, rows, 0, result)
  return { values: values.map(value => Math.max(0, value - shift)), vectors: result }
}

/** Orthonormal rows that span what the given ones span, in place (by Cholesky's factor, twice). */
export function orthonormalRows(count: number, rows: Float64Array): Float64Array {
  const n = rows.length / Math.max(1, count)
  for (let round = 0; round < 2; round++) {
    const gram = new Float64Array(count * count)
    gemm(false, true, count, count, n, 1, rows, rows, 0, gram)
    for (let i = 0; i < count; i++) gram[i * count + i] *= 1 + 1e-14
    if (cholesky(count, gram) >= 0) return rows
    triangularSolve(false, count, n, gram, rows)
  }
  return rows
}
