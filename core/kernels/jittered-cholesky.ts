/** @file The Cholesky factor of a matrix that is positive definite but for rounding. */
import { cholesky } from './linear-algebra.js'

/** More than this, relative to the diagonal, is no rounding: then the matrix is not positive definite. */
const MOST_JITTER = 1e-8

/** A Cholesky factor, and what was added for it. */
export interface JitteredFactor {
  /** L, n x n, with L L' = A + jitter diag(A). */
  readonly lower: Float64Array
  /** 0 where A can be factored as it is. */
  readonly jitter: number
}

/** The first pivot that is not positive, and the entry of A's diagonal there. */
export interface FailedPivot {
  readonly pivot: number
  readonly diagonal: number
}

/**
 * The lower Cholesky factor of A, or of A + t diag(A) where rounding leaves a pivot of A no correct digit. The error of
 * a pivot is about n eps of A's diagonal (Demmel 1989), so that a pivot below it is as likely negative: whether a
 * factorisation then fails differs between processors. t starts at 16 n eps, grows tenfold, and is at most 1e-8.
 * Relative to the diagonal it is the same for parameters in other units.
 * @param matrix makes A, n x n, which is overwritten
 */
export function jitteredCholesky(n: number, matrix: () => Float64Array): JitteredFactor | FailedPivot {
  const least = n * Number.EPSILON
  let jitter = 0
  for (;;) {
    const lower = matrix()
    const diagonal = new Float64Array(n)
    for (let i = 0; i < n; i++) diagonal[i] = lower[i * n + i]
    for (let i = 0; i < n; i++) lower[i * n + i] += jitter * diagonal[i]
    const pivot = cholesky(n, lower)
    const lost = pivot < 0 ? diagonal.findIndex((value, i) => !(lower[i * n + i] ** 2 > least * value)) : pivot
    if (lost < 0) return { lower, jitter }
    const next = Math.max(16 * least, 10 * jitter)
    if (next > MOST_JITTER || !(diagonal[lost] > 0)) return { pivot: lost, diagonal: diagonal[lost] }
    jitter = next
  }
}
