/**
 * @file Continuous ranked probability score of a Gaussian, in closed form (Gneiting and Raftery 2007). Lower is better.
 */
import { erf } from '../ops/erf.js'

/**
 * Mean over all entries of s [ z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt(pi) ] with z = (y - mean) / s.
 * @param variance predictive variances s^2, noise included
 */
export function gaussianCrps(mean: Float64Array, variance: Float64Array, y: Float64Array): number {
  let sum = 0
  for (let i = 0; i < y.length; i++) {
    const s = Math.sqrt(variance[i])
    const z = (y[i] - mean[i]) / s
    const density = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI)
    sum += s * (z * erf(z / Math.SQRT2) + 2 * density - 1 / Math.sqrt(Math.PI))
  }
  return sum / y.length
}
