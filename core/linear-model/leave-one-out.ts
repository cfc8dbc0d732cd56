/**
 * @file Leave-one-out predictions of a linear model in closed form, at its mode: with S_i = J_i P^-1 J_i' the
 * covariance without row i is S~_i = S_i (I - Lambda_i S_i)^-1, and the outputs are f_i + S~_i (p_i - y_i) (Opper and
 * Winther 2000; Vehtari et al. 2016).
 */
import { NumericalError } from '../errors/errors.js'
import { cholesky, gemm, symmetricEigen, triangularSolve } from '../kernels/linear-algebra.js'
import { hessianRoots } from './hessian-roots.js'
import type { LabelledRows } from './linear-problem.js'

/** Outputs (N x C) and covariances (N x C x C) of every training row from all the others. */
export interface LeftOut {
  readonly f: Float64Array
  readonly covariance: Float64Array
}

/**
 * Every row left out in turn.
 * @param f outputs at the mode, N x C
 * @param covariance S_i, N x C x C
 */
export function leaveOneOut(problem: LabelledRows, f: Float64Array, covariance: Float64Array): LeftOut {
  const { likelihood, labels, examples, outputs } = problem
  const residual = likelihood.residual(f, labels, examples, outputs)
  const { rank, roots } = hessianRoots(problem, f)
  const left = { f: f.slice(), covariance: new Float64Array(covariance.length) }
  for (let n = 0; n < examples; n++) {
    const own = covariance.subarray(n * outputs * outputs, (n + 1) * outputs * outputs)
    const root = roots.subarray(n * outputs * rank, (n + 1) * outputs * rank)
    const cavity = left.covariance.subarray(n * outputs * outputs, (n + 1) * outputs * outputs)
    cavityCovariance(own, root, outputs, rank, cavity)
    for (let c = 0; c < outputs; c++) {
      for (let d = 0; d < outputs; d++) left.f[n * outputs + c] += cavity[c * outputs + d] * residual[n * outputs + d]
    }
  }
  return left
}

/**
 * The mean over the outputs of each row's variances, ascending: what the variance of a new row is compared with.
 * @param covariance N x C x C
 * @param unit what the variance of an output is measured in, C: its noise variance; 1 where there is none
 */
export function sortedMeanVariances(covariance: Float64Array, examples: number, outputs: number,
  unit: readonly number[] = []): Float64Array {
  const means = new Float64Array(examples)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      means[n] += covariance[(n * outputs + c) * outputs + c] / (outputs * (unit[c] ?? 1))
    }
  }
  return means.sort()
}

/**
 * S (I - R R' S)^-1 = S + S R (I - R' S R)^-1 R' S, symmetric by construction. I - R' S R has eigenvalues in (0, 1]:
 * a row that alone determines a direction of the weights comes near 0, and its covariance without itself grows
 * without bound.
 */
function cavityCovariance(own: Float64Array, root: Float64Array, outputs: number, rank: number,
  cavity: Float64Array): void {
  const image = new Float64Array(outputs * rank)
  gemm(false, false, outputs, rank, outputs, 1, own, root, 0, image)
  const inner = new Float64Array(rank * rank)
  gemm(true, false, rank, rank, outputs, -1, root, image, 0, inner)
  for (let k = 0; k < rank; k++) inner[k * rank + k] += 1
  factorWithFloor(inner, rank)
  const solved = new Float64Array(rank * outputs)
  for (let c = 0; c < outputs; c++) for (let k = 0; k < rank; k++) solved[k * outputs + c] = image[c * rank + k]
  triangularSolve(false, rank, outputs, inner, solved)
  cavity.set(own)
  gemm(true, false, outputs, outputs, rank, 1, solved, solved, 1, cavity)
}

/** The smallest part of a direction's precision that is left without a row: rounding would make it 0 or less. */
const SMALLEST_REST = 1e-10
/**
 * The same where a structure that only approximates the covariance leaves nothing: such a row says that it knows
 * little.
 */
const SMALLEST_ROUGH_REST = 1e-6

/** The Cholesky factor; a matrix that is not positive definite gets its eigenvalues raised to the floor first. */
function factorWithFloor(matrix: Float64Array, size: number): void {
  const copy = matrix.slice()
  if (cholesky(size, matrix) < 0) return
  for (let i = 0; i < size; i++) copy[i * size + i] += SMALLEST_REST
  matrix.set(copy)
  if (cholesky(size, matrix) < 0) return
  const { values, vectors } = symmetricEigen(size, copy)
  const scaled = vectors.slice()
  for (let i = 0; i < scaled.length; i++) scaled[i] *= Math.max(values[i % size], SMALLEST_ROUGH_REST)
  gemm(false, true, size, size, size, 1, scaled, vectors, 0, matrix)
  const pivot = cholesky(size, matrix)
  if (pivot < 0) return
  throw new NumericalError('NOT_POSITIVE_DEFINITE',
    'A training row determines a direction of the weights alone, so that nothing is left without it; '
      + 'use a larger prior precision.', { pivot })
}
