/**
 * @file Coverage: how often the truth lies within the predicted interval. Right is the level itself, neither less nor
 * more.
 */
import { centralHalfWidth } from '../kernels/normal-quantile.js'

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
