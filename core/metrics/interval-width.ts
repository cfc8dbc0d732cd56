/** @file Width of central intervals: among predictions that cover what they should, narrower ones say more. */
import { centralHalfWidth } from '../kernels/normal-quantile.js'
import { sharpness } from './sharpness.js'

/**
 * Mean over all entries of 2 z s, with z the half width of the level's central interval of a standard normal.
 * @param variance predictive variances s^2, noise included
 * @param level between 0 and 1
 */
export function meanIntervalWidth(variance: Float64Array, level: number): number {
  return 2 * centralHalfWidth(level) * sharpness(variance)
}
