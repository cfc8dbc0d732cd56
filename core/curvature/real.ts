/** @file Sums of float32 data in float64. */
import { gemm, type RealArray, syrk } from '../kernels/linear-algebra.js'

/** The same numbers in float64; no copy when they are already. */
export function asFloat64(values: RealArray): Float64Array {
  return values instanceof Float64Array ? values : Float64Array.from(values)
}

/** C (n x n) += A'A for A of k x n; float32 rows are added up in float64. */
export function addGram(n: number, k: number, a: RealArray, c: Float64Array): void {
  syrk(n, k, 1, a, 1, c)
}

/** C (m x n) += A'B for A of k x m and B of k x n; float32 rows are added up in float64. */
export function addProduct(m: number, n: number, k: number, a: RealArray, b: RealArray, c: Float64Array): void {
  const same = a.BYTES_PER_ELEMENT === b.BYTES_PER_ELEMENT
  gemm(true, false, m, n, k, 1, same ? a : asFloat64(a), same ? b : asFloat64(b), 1, c)
}
