/**
 * @file How large the errors of a regression on new rows are, beside what the evidence says.
 *
 * The evidence weighs prior against noise; the size of both together it takes from rows that the features have been
 * trained on. Two leave-one-out errors say more: those of the network's linear model, too small where its features have
 * learnt the rows by heart and too large where they are bent about single rows; and those of the linear model of the
 * same network with its weights shuffled, which has learnt nothing. The truth lies between them, and nearest to their
 * geometric mean (measured on tables whose test rows were kept back; docs/decisions.md).
 */
import { normalQuantile } from '../kernels/normal-quantile.js'

/** The error that the intervals of this level meet is compared with the normal one. */
const LEVEL = 0.9
/** A network may have learnt what its untrained self cannot: beyond this factor the latter says nothing more. */
const MOST_UNTRAINED = 2
/** Prior and noise by the evidence are changed by this factor at most. */
const MOST = 2

/**
 * The factor k of the standard deviations that the evidence gives: k^2 = L min(U, 2), with L and U how many times
 * larger than normal the 90 % quantiles of the errors are.
 * @param own |y - f_-n| / sd_-n of every training row predicted without itself
 * @param untrained the errors of the network before training, over the same standard deviations
 */
export function errorScale(own: Float64Array, untrained: Float64Array): number {
  const scale = Math.sqrt(excess(own) * Math.min(MOST_UNTRAINED, excess(untrained)))
  return Number.isFinite(scale) ? Math.min(MOST, Math.max(1 / MOST, scale)) : 1
}

/** The 90 % quantile of errors over that of the normal distribution; of few rows the largest. */
export function excess(errors: Float64Array): number {
  const sorted = errors.slice().sort()
  const rank = Math.min(sorted.length, Math.ceil((sorted.length + 1) * LEVEL))
  return (sorted[rank - 1] ?? NaN) / normalQuantile((1 + LEVEL) / 2)
}

/**
 * Left-out errors with the 90 % quantile of the normal distribution: of standard deviations whose size is known
 * otherwise they say the shape, as heavy tails.
 */
export function inUnitsOfExcess(errors: Float64Array): Float64Array {
  const unit = excess(errors)
  return unit > 0 && Number.isFinite(unit) ? errors.map(error => error / unit) : errors
}
