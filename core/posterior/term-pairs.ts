/** @file The pairs of outputs whose products a variance is made of, and what is summed for each. */
import { packedLength, type RealArray } from '../kernels/linear-algebra.js'
import { type VarianceKind, varianceNumbers } from './variance-kind.js'

/** The batch's number of outputs C and of examples N, and what is wanted of each. */
export interface OutputLayout {
  readonly outputs: number
  readonly examples: number
  readonly kind: VarianceKind
  /** Whether the last of the outputs is the sum that row sums are made with, not that of those that are here. */
  readonly lastIsSum?: boolean | undefined
}

/** Pairs of an example. */
export function pairCount({ outputs, kind }: OutputLayout): number {
  return kind === 'covariance' ? packedLength(outputs) : varianceNumbers(kind, outputs)
}

/** Calls `visit` with every pair of rows of R that is wanted, d <= c, and its number; row C is the sum of all. */
export function eachPair({ outputs, kind }: OutputLayout, visit: (c: number, d: number, pair: number) => void): void {
  let pair = 0
  for (let c = 0; c < outputs; c++) for (let d = kind === 'covariance' ? 0 : c; d <= c; d++) visit(c, d, pair++)
  if (kind === 'sums') { for (let c = 0; c < outputs; c++) visit(outputs, c, pair++) }
}

/** The sum of the outputs' rows: the last of them where it is that, else added up where `place` says. */
export function totalRow(rows: RealArray, { outputs, lastIsSum }: OutputLayout, place: () => RealArray): RealArray {
  return lastIsSum === true ? rows.subarray(rows.length - rows.length / outputs) : sumOfRows(rows, place())
}

/** The sum of the rows of a matrix that are as long as `sum`, in it. */
export function sumOfRows<A extends RealArray>(rows: RealArray, sum: A): A {
  sum.fill(0)
  for (let at = 0; at < rows.length; at += sum.length) for (let i = 0; i < sum.length; i++) sum[i] += rows[at + i]
  return sum
}
