/** @file Positive semi-definite matrices for tests. */
import { gemm } from '../../core/kernels/linear-algebra.js'
import type { RandomGenerator } from '../../core/tensor/random.js'

/** The Gram matrix of `rows` random rows of n numbers. */
export function randomGram(random: RandomGenerator, rows: number, n: number): Float64Array {
  const a = random.fillNormal(new Float64Array(rows * n))
  const matrix = new Float64Array(n * n)
  gemm(true, false, n, n, rows, 1, a, a, 0, matrix)
  return matrix
}
