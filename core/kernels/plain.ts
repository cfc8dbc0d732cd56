/**
 * @file Plain TypeScript twins of the WebAssembly kernels: short, obviously right, slow.
 * They are what the tests compare the fast kernels with, and what runs where WebAssembly is missing.
 */

/** Storage of a real matrix, row-major. */
export type RealArray = Float32Array | Float64Array

/** C = alpha op(A) op(B) + beta C, where op(A) is m x k, op(B) is k x n; matrices are row-major without gaps. */
export function gemm(transA: boolean, transB: boolean, m: number, n: number, k: number, alpha: number,
  a: RealArray, b: RealArray, beta: number, c: RealArray): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let p = 0; p < k; p++) sum += (transA ? a[p * m + i] : a[i * k + p]) * (transB ? b[j * k + p] : b[p * n + j])
      const old = beta === 0 ? 0 : beta * c[i * n + j]
      c[i * n + j] = alpha * sum + old
    }
  }
}

/** C = alpha AᵀA + beta C for A of k x n (rows are summed over); C is n x n, both triangles written. */
export function syrk(n: number, k: number, alpha: number, a: RealArray, beta: number, c: RealArray): void {
  gemm(true, false, n, n, k, alpha, a, a, beta, c)
}

/** Cholesky factor of the symmetric n x n matrix in place (lower triangle; the upper is zeroed); returns -1, or the index of the first pivot that is not positive. */
export function cholesky(n: number, a: Float64Array): number {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i * n + j]
      for (let p = 0; p < j; p++) sum -= a[i * n + p] * a[j * n + p]
      if (i === j) {
        if (!(sum > 0)) return j
        a[j * n + j] = Math.sqrt(sum)
      } else a[i * n + j] = sum / a[j * n + j]
    }
    for (let i = 0; i < j; i++) a[i * n + j] = 0
  }
  return -1
}

/** Solves L X = B (or Lᵀ X = B) in place for lower-triangular L of n x n and B of n x m. */
export function triangularSolve(transposed: boolean, n: number, m: number, l: Float64Array, b: Float64Array): void {
  for (let step = 0; step < n; step++) {
    const i = transposed ? n - 1 - step : step
    for (let column = 0; column < m; column++) {
      let sum = b[i * m + column]
      if (transposed) for (let p = i + 1; p < n; p++) sum -= l[p * n + i] * b[p * m + column]
      else for (let p = 0; p < i; p++) sum -= l[i * n + p] * b[p * m + column]
      b[i * m + column] = sum / l[i * n + i]
    }
  }
}

/**
 * Eigen-decomposition of a symmetric n x n matrix by cyclic Jacobi rotations (Golub & Van Loan, 8.5).
 * @returns eigenvalues ascending, and the matrix whose column j is the eigenvector of value j
 */
export function symmetricEigen(n: number, matrix: Float64Array): { values: Float64Array, vectors: Float64Array } {
  const a = Float64Array.from(matrix)
  const v = new Float64Array(n * n)
  for (let i = 0; i < n; i++) v[i * n + i] = 1
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0
    let diagonal = 0
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) { if (i === j) diagonal += a[i * n + j] ** 2; else off += a[i * n + j] ** 2 }
    if (off <= 1e-32 * diagonal) break
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(n, a, v, p, q)
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[i * n + i] - a[j * n + j])
  const vectors = new Float64Array(n * n)
  order.forEach((from, to) => { for (let i = 0; i < n; i++) vectors[i * n + to] = v[i * n + from] })
  return { values: Float64Array.from(order, i => a[i * n + i]), vectors }
}

/** One Jacobi rotation that zeroes a[p][q]. */
function rotate(n: number, a: Float64Array, v: Float64Array, p: number, q: number): void {
  const apq = a[p * n + q]
  if (apq === 0) return
  const theta = (a[q * n + q] - a[p * n + p]) / (2 * apq)
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
  const c = 1 / Math.sqrt(t * t + 1)
  const s = t * c
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[i * n + p], a[i * n + q]]
    a[i * n + p] = c * x - s * y
    a[i * n + q] = s * x + c * y
  }
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[p * n + i], a[q * n + i]]
    a[p * n + i] = c * x - s * y
    a[q * n + i] = s * x + c * y
  }
  for (let i = 0; i < n; i++) {
    const [x, y] = [v[i * n + p], v[i * n + q]]
    v[i * n + p] = c * x - s * y
    v[i * n + q] = s * x + c * y
  }
}
