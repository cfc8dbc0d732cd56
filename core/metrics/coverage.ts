/**
 * @file Coverage: how often the truth lies within the predicted interval. Right is the level itself, neither less nor
 * more.
 */
import { centralHalfWidth } from '../kernels/normal-quantile.js'

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

/**
 * Share of entries inside of the central interval mean -+ z s of a Gaussian: `level` itself for a calibrated one.
 * @param variance predictive variances s^2, noise included
 * @param level between 0 and 1
 */
export function centralCoverage(mean: Float64Array, variance: Float64Array, y: Float64Array, level: number): number {
  const z = centralHalfWidth(level)
  let inside = 0
  for (let i = 0; i < y.length; i++) if (Math.abs(y[i] - mean[i]) <= z * Math.sqrt(variance[i])) inside++
  return inside / y.length
}
