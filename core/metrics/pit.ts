/**
 * @file Probability integral transform (Dawid 1984; Gneiting, Balabdaoui and Raftery 2007): where the truth lies in its
 * predictive distribution. Uniform when calibrated; a U tells of intervals too narrow, a hump of too wide ones, a slope
 * of a bias.
 */
import { erf } from '../ops/erf.js'
import { histogram } from './histogram.js'

/** Bins of a histogram of PIT values. */
const PIT_BINS = 10

/**
 * Phi((y - mean) / s) for every entry.
 * @param variance predictive variances s^2, noise included
 */
export function gaussianPit(mean: Float64Array, variance: Float64Array, y: Float64Array): Float64Array {
  return y.map((value, i) => (1 + erf((value - mean[i]) / Math.sqrt(2 * variance[i]))) / 2)
}

/** Share of the values in each of the bins [lo, hi) of equal width over 0 to 1, the last with its 1. */
export function pitHistogram(pit: Float64Array, bins: number = PIT_BINS): readonly number[] {
  return histogram(pit, 0, 1, bins).shares
}
