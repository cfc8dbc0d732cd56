/**
 * @file Coverage: how often the truth lies within the predicted interval. Right is the level itself, neither less nor
 * more.
 */

/** Half width of the central 95 % interval of a standard normal. */
const Z_95 = 1.959963984540054

/**
 * Share of entries with |y - mean| <= 1.96 s: 0.95 for a calibrated Gaussian.
 * @param variance predictive variances s^2, noise included
 */
export function coverage95(mean: Float64Array, variance: Float64Array, y: Float64Array): number {
  let inside = 0
  for (let i = 0; i < y.length; i++) if (Math.abs(y[i] - mean[i]) <= Z_95 * Math.sqrt(variance[i])) inside++
  return inside / y.length
}
