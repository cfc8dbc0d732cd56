/** @file Sharpness: how narrow the predictions are, whatever the truth. Smaller is better among calibrated ones. */

/** Mean predictive standard deviation. */
export function sharpness(variance: Float64Array): number {
  return variance.reduce((sum, value) => sum + Math.sqrt(value), 0) / variance.length
}
