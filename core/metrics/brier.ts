/** @file The Brier score (1950): squared distance of probabilities from what happened. Lower is better. */

/**
 * Mean over points of sum_c (p_c - [y = c])^2.
 * @param p N x C probabilities
 * @param y N class numbers
 */
export function categoricalBrier(p: Float64Array, y: Float64Array, outputs: number): number {
  let sum = 0
  for (let i = 0; i < p.length; i++) sum += (p[i] - (i % outputs === y[Math.floor(i / outputs)] ? 1 : 0)) ** 2
  return sum / y.length
}

/** Mean over all labels of (p - y)^2. */
export function bernoulliBrier(p: Float64Array, y: Float64Array): number {
  let sum = 0
  for (let i = 0; i < p.length; i++) sum += (p[i] - y[i]) ** 2
  return sum / y.length
}
