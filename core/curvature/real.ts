/** @file Sums of float32 data in float64. */
import { gemm, syrk, type RealArray } from '../kernels/linear-algebra.js'

/** Rows converted at a time, so that a copy in float64 stays in the cache. */
const BLOCK_NUMBERS = 1 << 18

/** The same numbers in float64; no copy when they are already. */
export function asFloat64(values: RealArray): Float64Array {
  return values instanceof Float64Array ? values : Float64Array.from(values)
}

/** C (n x n) += A'A for A of k x n, summed in float64 whatever A's precision. */
export function addGram(n: number, k: number, a: RealArray, c: Float64Array): void {
  if (a instanceof Float64Array) { syrk(n, k, 1, a, 1, c); return }
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / n))
  const block = new Float64Array(Math.min(step, k) * n)
  for (let from = 0; from < k; from += step) {
    const count = Math.min(step, k - from)
    block.set(a.subarray(from * n, (from + count) * n))
    syrk(n, count, 1, block.subarray(0, count * n), 1, c)
  }
}

/** C (m x n) += A'B for A of k x m and B of k x n, summed in float64 whatever their precision. */
export function addProduct(m: number, n: number, k: number, a: RealArray, b: RealArray, c: Float64Array): void {
  if (a instanceof Float64Array && b instanceof Float64Array) { gemm(true, false, m, n, k, 1, a, b, 1, c); return }
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / Math.max(m, n)))
  const left = new Float64Array(Math.min(step, k) * m)
  const right = new Float64Array(Math.min(step, k) * n)
  for (let from = 0; from < k; from += step) {
    const count = Math.min(step, k - from)
    left.set(a.subarray(from * m, (from + count) * m))
    right.set(b.subarray(from * n, (from + count) * n))
    gemm(true, false, m, n, count, 1, left.subarray(0, count * m), right.subarray(0, count * n), 1, c)
  }
}
