/** @file Small symmetric positive definite systems. */
import { cholesky, triangularSolve } from './plain.js'

/**
 * Solves A x = b for a small symmetric positive definite A (n x n); undefined when it cannot. A runtime may bring a
 * solver of its own; the residual is checked.
 */
export type SmallSolver = (n: number, matrix: Float64Array, right: Float64Array) => Float64Array | undefined

/** Through a Cholesky factor. */
export function solveByCholesky(n: number, matrix: Float64Array, right: Float64Array): Float64Array | undefined {
  const lower = matrix.slice()
  if (cholesky(n, lower) >= 0) return undefined
  const solution = right.slice()
  triangularSolve(false, n, 1, lower, solution)
  triangularSolve(true, n, 1, lower, solution)
  return solution
}
