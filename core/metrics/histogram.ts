/** @file Shares of numbers in bins of equal width. */

/** Bins of equal width between two ends. */
export interface Histogram {
  readonly from: number
  readonly to: number
  /** The share of the numbers in each bin. */
  readonly shares: readonly number[]
}

/** The numbers in `bins` bins [lo, hi), the last with its end; what lies outside is in the nearest bin. */
export function histogram(values: Float64Array, from: number, to: number, bins = 20): Histogram {
  const counts = new Array<number>(bins).fill(0)
  const width = (to - from) / bins || 1
  for (const value of values) counts[Math.max(0, Math.min(bins - 1, Math.floor((value - from) / width)))]++
  return { from, to, shares: counts.map(count => count / values.length) }
}
