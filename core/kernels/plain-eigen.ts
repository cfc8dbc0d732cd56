/**
 * @file The plain twin of the eigen-decomposition: Householder reflectors, then QL steps with implicit shifts
 * (Golub & Van Loan, 8.3), with the eigenvectors as rows until the end.
 */
import { NumericalError } from '../errors/errors.js'

/** Steps allowed for one eigenvalue; two or three are usual. */
const MAX_STEPS = 60
/**
 * After so many, numbers that are negligible beside the whole matrix are dropped, not only those negligible beside
 * their neighbours.
 */
const PATIENT_STEPS = 10

/** Eigenvalues ascending, and the matrix whose column j is the eigenvector of value j. */
export interface Eigen {
  readonly values: Float64Array
  readonly vectors: Float64Array
}

/**
 * Eigen-decomposition of a symmetric n x n matrix, of which only the lower triangle is read.
 * @throws NumericalError NO_CONVERGENCE, which numbers that are not finite lead to
 */
export function symmetricEigen(n: number, matrix: Float64Array): Eigen {
  const a = Float64Array.from(matrix.subarray(0, n * n))
  const d = new Float64Array(n)
  const e = new Float64Array(n)
  const tau = reduce(n, a, d, e)
  const rows = new Float64Array(n * n)
  for (let i = 0; i < n; i++) rows[i * n + i] = 1
  diagonalise(n, n, d, e, rows)
  applyReflectors(n, a, tau, rows)
  const order = Array.from(d.keys()).sort((i, j) => d[i] - d[j])
  const vectors = new Float64Array(n * n)
  order.forEach((from, to) => {
    for (let i = 0; i < n; i++) vectors[i * n + to] = rows[from * n + i]
  })
  return { values: Float64Array.from(order, i => d[i]), vectors }
}

/**
 * The eigenvalues of a tridiagonal matrix, in no order, and the first number of each one's eigenvector.
 * @param d its diagonal, n numbers
 * @param e the numbers beside it, n - 1 or more
 * @throws NumericalError NO_CONVERGENCE
 */
export function firstComponents(d: Float64Array,
  e: Float64Array): { readonly values: Float64Array, readonly components: Float64Array } {
  const values = d.slice()
  const beside = new Float64Array(d.length)
  beside.set(e.subarray(0, Math.max(0, d.length - 1)))
  const components = new Float64Array(d.length)
  if (d.length > 0) components[0] = 1
  diagonalise(d.length, 1, values, beside, components)
  return { values, components }
}

/** QL steps until nothing is left beside the diagonal; the `width` numbers of n rows are turned with them. */
function diagonalise(n: number, width: number, d: Float64Array, e: Float64Array, rows: Float64Array): void {
  let largest = 0
  for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(d[i]), Math.abs(e[i]))
  for (let first = 0; first < n; first++) {
    let steps = 0
    const end = (): number => blockEnd(n, first, d, e, steps < PATIENT_STEPS ? 0 : Number.EPSILON * largest)
    for (let last = end(); last !== first; last = end()) {
      if (steps++ === MAX_STEPS) {
        throw new NumericalError('NO_CONVERGENCE',
          `The eigen-decomposition of a ${n} x ${n} matrix did not converge: expected at most ${MAX_STEPS} steps ` +
            `for eigenvalue ${first}. Look for NaN or infinity in the matrix.`, { size: n, eigenvalue: first,
          steps: MAX_STEPS })
      }
      qlStep(first, last, width, d, e, rows)
    }
  }
}

/**
 * Reduces to tridiagonal form from the last row on; row i keeps its reflector (its last number, at i - 1, is 1).
 * Returns the factors tau.
 */
function reduce(n: number, a: Float64Array, d: Float64Array, e: Float64Array): Float64Array {
  const tau = new Float64Array(n)
  const w = new Float64Array(n)
  for (let i = n - 1; i > 0; i--) {
    const v = a.subarray(i * n, i * n + i)
    d[i] = a[i * n + i]
    let rest = 0
    for (let j = 0; j < i - 1; j++) rest += v[j] * v[j]
    const alpha = v[i - 1]
    v[i - 1] = 1
    if (rest === 0) {
      e[i - 1] = alpha
      continue
    }
    const beta = alpha > 0 ? -Math.sqrt(alpha * alpha + rest) : Math.sqrt(alpha * alpha + rest)
    for (let j = 0; j < i - 1; j++) v[j] /= alpha - beta
    e[i - 1] = beta
    tau[i] = (beta - alpha) / beta
    symmetricTimes(i, n, tau[i], a, v, w)
    let product = 0
    for (let j = 0; j < i; j++) product += v[j] * w[j]
    for (let j = 0; j < i; j++) w[j] -= 0.5 * tau[i] * product * v[j]
    for (let j = 0; j < i; j++) for (let p = 0; p <= j; p++) a[j * n + p] -= v[j] * w[p] + w[j] * v[p]
  }
  if (n > 0) d[0] = a[0]
  return tau
}

/** w = alpha A v for the leading block of `size` rows, of which the lower triangle is read. */
function symmetricTimes(size: number, n: number, alpha: number, a: Float64Array, v: Float64Array,
  w: Float64Array): void {
  for (let j = 0; j < size; j++) {
    const row = j * n
    const factor = alpha * v[j]
    let sum = a[row + j] * v[j]
    for (let p = 0; p < j; p++) {
      sum += a[row + p] * v[p]
      w[p] += factor * a[row + p]
    }
    w[j] = alpha * sum
  }
}

/** Last index of the block from `first` on whose off-diagonal numbers are not negligible. */
function blockEnd(n: number, first: number, d: Float64Array, e: Float64Array, tolerance: number): number {
  let i = first
  while (i < n - 1 &&
    !(Math.abs(e[i]) <= Math.max(tolerance, Number.EPSILON * (Math.abs(d[i]) + Math.abs(d[i + 1]))))) {
    i++
  }
  return i
}

/** One QL step on the block first..last: chases the bulge of the shifted matrix from its end to its beginning. */
function qlStep(first: number, last: number, width: number, d: Float64Array, e: Float64Array,
  rows: Float64Array): void {
  // Wilkinson's shift: the eigenvalue of the leading 2 x 2 block that is nearer to its first number.
  const ratio = (d[first + 1] - d[first]) / (2 * e[first])
  const root = Math.hypot(ratio, 1)
  let g = d[last] - d[first] + e[first] / (ratio + (ratio < 0 ? -root : root))
  let c = 1
  let s = 1
  let shift = 0
  e[last] = 0
  for (let i = last - 1; i >= first; i--) {
    const f = s * e[i]
    const b = c * e[i]
    const length = Math.hypot(f, g)
    if (i + 1 < last) e[i + 1] = length
    if (length === 0) {
      // The block falls apart here; the next step starts on the smaller one.
      d[i + 1] -= shift
      return
    }
    c = g / length
    s = f / length
    g = d[i + 1] - shift
    const r = (d[i] - g) * s + 2 * c * b
    shift = s * r
    d[i + 1] = g + shift
    g = c * r - b
    rotateRows(width, c, s, rows, i * width)
  }
  d[first] -= shift
  e[first] = g
}

function rotateRows(n: number, c: number, s: number, rows: Float64Array, lower: number): void {
  for (let j = lower; j < lower + n; j++) {
    const x = rows[j]
    const y = rows[j + n]
    rows[j + n] = s * x + c * y
    rows[j] = c * x - s * y
  }
}

/** Eigenvectors of the tridiagonal matrix, in rows, become those of the matrix: R H_1 ... H_{n-1}. */
function applyReflectors(n: number, a: Float64Array, tau: Float64Array, rows: Float64Array): void {
  for (let i = 1; i < n; i++) {
    if (tau[i] === 0) continue
    const v = a.subarray(i * n, i * n + i)
    for (let r = 0; r < n * n; r += n) {
      let sum = 0
      for (let j = 0; j < i; j++) sum += rows[r + j] * v[j]
      sum *= tau[i]
      for (let j = 0; j < i; j++) rows[r + j] -= sum * v[j]
    }
  }
}
