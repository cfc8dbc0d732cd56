/**
 * @file Eigen-decomposition of a positive semi-definite matrix of low rank, from its thin side: a Cholesky factor with
 * pivots of r columns (Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix"), whose Gram
 * matrix has the same eigenvalues. Costs n r^2, where the whole decomposition costs some n^3.
 */
import { symmetricEigen } from './eigen.js'
import { pause } from './interruption.js'
import type { Eigen } from './plain-eigen.js'
import { gemm } from './product.js'
import { transposed } from './transposed.js'
import { cholesky, triangularSolve } from './triangular.js'

/** Pivots that are looked for at once. */
const BLOCK = 64
/** A pivot that has lost more than this to others of its block waits for a later one. */
const WAITS = 0.1

/**
 * The eigenpairs of a symmetric positive semi-definite n x n matrix whose values are more than rounding.
 * @returns k <= most values ascending, and the n x k matrix of their eigenvectors in columns; all others are 0.
 * Undefined where the matrix has a higher rank than `most`
 */
export function lowRankEigen(n: number, matrix: Float64Array, most: number): Eigen | undefined {
  const rows = pivotedCholesky(n, matrix, most)
  if (rows === undefined) return undefined
  const found = rows.length / n
  if (found === 0) return { values: new Float64Array(0), vectors: new Float64Array(0) }
  const gram = new Float64Array(found * found)
  gemm(false, true, found, found, n, 1, rows, rows, 0, gram)
  const { values, vectors } = symmetricEigen(found, gram)
  const least = n * Number.EPSILON * values[found - 1]
  const first = values.findIndex(value => value > least)
  const count = found - first
  const scaled = new Float64Array(count * found)
  for (let j = 0; j < count; j++) {
    const scale = 1 / Math.sqrt(values[first + j])
    for (let i = 0; i < found; i++) scaled[j * found + i] = scale * vectors[i * found + first + j]
  }
  const basis = new Float64Array(count * n)
  gemm(false, false, count, n, found, 1, scaled, rows, 0, basis)
  return { values: values.slice(first), vectors: transposed(orthonormal(n, count, basis), count, n) }
}

/**
 * W of at most `most` rows with A = W'W but for rounding; undefined where they are too few. Sums of float32 are no
 * exact Gram matrices: what they leave is as often below zero as above, and ends after a few pivots of its own.
 */
function pivotedCholesky(n: number, matrix: Float64Array, most: number): Float64Array | undefined {
  const rest = Float64Array.from({ length: n }, (_, i) => matrix[i * n + i])
  const scale = rest.reduce((most, value) => Math.max(most, value), 0)
  const rounding = n * Number.EPSILON * scale
  // A remainder below zero is rounding, and shows how large it is: pivots of that size would blow it up.
  const smallest = (): number => Math.max(rounding, -4 * rest.reduce((low, value) => Math.min(low, value), 0))
  // Memory that is never written is never taken.
  const rows = new Float64Array(most * n)
  let found = 0
  while (found < most) {
    pause(-1)
    const least = smallest()
    const candidates = largest(rest, Math.min(BLOCK, most - found), least)
    if (candidates.length === 0) break
    const columns = remaining(n, matrix, rows.subarray(0, found * n), candidates)
    const { order, factor } = pivots(columns, n, candidates,
      Math.max(least, WAITS * rest[candidates[candidates.length - 1]]))
    const own = rows.subarray(found * n, (found + order.length) * n)
    order.forEach((at, i) => {
      own.set(columns.subarray(at * n, (at + 1) * n), i * n)
    })
    triangularSolve(false, order.length, n, factor, own)
    for (let i = 0; i < own.length; i++) rest[i % n] -= own[i] * own[i]
    for (const at of order) rest[candidates[at]] = 0
    found += order.length
  }
  const least = smallest()
  return rest.some(value => value > least) ? undefined : rows.slice(0, found * n)
}

/** The places of the `count` largest numbers beyond `least`, the largest first. */
function largest(values: Float64Array, count: number, least: number): number[] {
  const places = Array.from(values.keys()).filter(i => values[i] > least)
  return places.sort((i, j) => values[j] - values[i] || i - j).slice(0, count)
}

/** Rows `candidates` of A - W'W. */
function remaining(n: number, matrix: Float64Array, rows: Float64Array, candidates: readonly number[]): Float64Array {
  const columns = new Float64Array(candidates.length * n)
  candidates.forEach((row, i) => {
    columns.set(matrix.subarray(row * n, (row + 1) * n), i * n)
  })
  const found = rows.length / n
  const own = new Float64Array(found * candidates.length)
  for (let k = 0; k < found; k++) {
    for (let i = 0; i < candidates.length; i++) own[k * candidates.length + i] = rows[k * n + candidates[i]]
  }
  if (found > 0) gemm(true, false, candidates.length, n, found, -1, own, rows, 1, columns)
  return columns
}

/**
 * Cholesky factor of the candidates' own block, the largest pivot first, while pivots are at least `least`: which
 * candidates, in their order, and the lower triangle of their factor.
 */
function pivots(columns: Float64Array, n: number, candidates: readonly number[],
  least: number): { order: number[], factor: Float64Array } {
  const size = candidates.length
  const rest = candidates.map((place, i) => columns[i * n + place])
  const order: number[] = []
  const lower: number[][] = candidates.map(() => [])
  while (order.length < size) {
    const at = rest.reduce((most, value, i) => (value > (rest[most] ?? 0) ? i : most), -1)
    if (at < 0 || !(rest[at] >= least)) break
    const root = Math.sqrt(rest[at])
    const own = lower[at].slice()
    for (let i = 0; i < size; i++) {
      const sum = own.reduce((total, value, k) => total - value * lower[i][k], columns[at * n + candidates[i]])
      lower[i].push(sum / root)
      rest[i] -= (sum / root) ** 2
    }
    lower[at][order.length] = root
    rest[at] = -Infinity
    order.push(at)
  }
  const factor = new Float64Array(order.length ** 2)
  order.forEach((at, i) => {
    factor.set(lower[at].slice(0, i + 1), i * order.length)
  })
  return { order, factor }
}

/** Rows that are orthonormal but for rounding of small eigenvalues, made so: C^-1 V with C C' = V V'. */
function orthonormal(n: number, count: number, rows: Float64Array): Float64Array {
  const gram = new Float64Array(count * count)
  gemm(false, true, count, count, n, 1, rows, rows, 0, gram)
  // Those of the largest values first: they are right to the last bit, and the others give way to them.
  const reversed = gram.reverse()
  if (cholesky(count, reversed) >= 0) return rows
  const turned = reverseRows(n, rows)
  triangularSolve(false, count, n, reversed, turned)
  return reverseRows(n, turned)
}

function reverseRows(n: number, rows: Float64Array): Float64Array {
  const result = new Float64Array(rows.length)
  for (let at = 0; at < rows.length; at += n) result.set(rows.subarray(at, at + n), rows.length - n - at)
  return result
}
