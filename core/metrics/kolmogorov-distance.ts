/** @file Kolmogorov's distance of values from the uniform distribution. */

/**
 * sup over u of |share of values <= u - u|, for values in 0 to 1. Times sqrt(n) it exceeds 1.36 with probability 5 %
 * when n independent values are uniform (Kolmogorov 1933).
 */
export function kolmogorovDistance(values: Float64Array): number {
  const n = values.length
  return values.slice().sort().reduce(
    (largest, value, i) => Math.max(largest, value - i / n, (i + 1) / n - value),
    0,
  )
}
