/** @file Variances of the outputs, or their covariances. */

/**
 * Puts variances, N x C, on the diagonals of covariances, N x C x C: the same numbers, to the last bit, whichever of
 * the two is asked for.
 */
export function putVariances(covariances: Float64Array, variances: Float64Array, outputs: number): void {
  for (let i = 0; i < variances.length; i++) covariances[i * outputs + i % outputs] = variances[i]
}

/** Whether a functional variance holds only the variances (N x C) or the covariance of the outputs (N x C x C). */
export type VarianceKind = 'diagonal' | 'covariance'
