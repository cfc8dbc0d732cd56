/** @file Which numbers of the covariance S = J P^-1 J' of a row's outputs are wanted. */

/**
 * `diagonal`: the variances, N x C. `sums`: variances and row sums S 1, N x 2 x C, from which follow the links that
 * compare outputs with their mean, at the price of variances. `covariance`: all of it, N x C x C.
 */
export type VarianceKind = 'diagonal' | 'sums' | 'covariance'

/** Numbers of one row. */
export function varianceNumbers(kind: VarianceKind, outputs: number): number {
  return kind === 'diagonal' ? outputs : kind === 'sums' ? 2 * outputs : outputs * outputs
}

/** The numbers of another kind from those of one that has them; the given ones where it is the same kind. */
export function narrowed(values: Float64Array, from: VarianceKind, to: VarianceKind, outputs: number): Float64Array {
  if (from === to) return values
  const [own, width] = [varianceNumbers(from, outputs), varianceNumbers(to, outputs)]
  const result = new Float64Array(values.length / own * width)
  for (let row = 0, at = 0; row < values.length; row += own, at += width) {
    for (let c = 0; c < outputs; c++) {
      const first = row + c * outputs
      result[at + c] = from === 'sums' ? values[row + c] : values[first + c]
      if (to === 'sums') { for (let d = 0; d < outputs; d++) result[at + outputs + c] += values[first + d] }
    }
  }
  return result
}

/**
 * Puts variances, N x C, on the diagonals of covariances, N x C x C: the same numbers, to the last bit, whichever of
 * the two is asked for.
 */
export function putVariances(covariances: Float64Array, variances: Float64Array, outputs: number): void {
  for (let i = 0; i < variances.length; i++) covariances[i * outputs + i % outputs] = variances[i]
}

/** Variances and row sums, N x C each, as N x 2 x C. */
export function withRowSums(variances: Float64Array, sums: Float64Array, outputs: number): Float64Array {
  const result = new Float64Array(2 * variances.length)
  for (let at = 0; at < variances.length; at += outputs) {
    result.set(variances.subarray(at, at + outputs), 2 * at)
    result.set(sums.subarray(at, at + outputs), 2 * at + outputs)
  }
  return result
}
