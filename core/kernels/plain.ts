/**
 * @file Plain TypeScript twins of the WebAssembly kernels: short, obviously right, slow.
 * They are what the tests compare the fast kernels with, and what runs where WebAssembly is missing.
 */

/** Storage of a real matrix, row-major. */
export type RealArray = Float32Array | Float64Array

/** Zeros of the same precision. */
export function zerosLike(values: RealArray, length: number): RealArray {
  return values instanceof Float32Array ? new Float32Array(length) : new Float64Array(length)
}

/** C = alpha op(A) op(B) + beta C, where op(A) is m x k, op(B) is k x n; matrices are row-major without gaps. */
export function gemm(transA: boolean, transB: boolean, m: number, n: number, k: number, alpha: number, a: RealArray,
  b: RealArray, beta: number, c: RealArray): void {
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

/**
 * Cholesky factor of the symmetric n x n matrix in place (lower triangle; the upper is zeroed); returns -1, or the
 * index of the first pivot that is not positive.
 */
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
      if (transposed) { for (let p = i + 1; p < n; p++) sum -= l[p * n + i] * b[p * m + column] }
      else for (let p = 0; p < i; p++) sum -= l[i * n + p] * b[p * m + column]
      b[i * m + column] = sum / l[i * n + i]
    }
  }
}

/** Solves X Lᵀ = B in place for lower-triangular L of n x n and B of m x n. */
export function triangularSolveRight(n: number, m: number, l: Float64Array, b: Float64Array): void {
  for (let row = 0; row < m * n; row += n) {
    for (let i = 0; i < n; i++) {
      let sum = b[row + i]
      for (let p = 0; p < i; p++) sum -= l[i * n + p] * b[row + p]
      b[row + i] = sum / l[i * n + i]
    }
  }
}

export { symmetricEigen } from './plain-eigen.js'
