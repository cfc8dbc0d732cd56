/** @file Root mean squared error of the mean; uncertainty plays no part in it. */

/** sqrt of the mean over all entries of (y - mean)^2. */
export function rmse(mean: Float64Array, y: Float64Array): number {
  let sum = 0
  for (let i = 0; i < y.length; i++) sum += (y[i] - mean[i]) ** 2
  return Math.sqrt(sum / y.length)
}
