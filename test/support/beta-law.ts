/** @file Does a sample follow Beta(a, b)? */

/** Mean and variance of the sample, as distances from those of Beta(a, b) in standard errors. */
export function betaDistances(sample: readonly number[], a: number, b: number): { mean: number, variance: number } {
  const n = sample.length
  const total = a + b
  const mean = a / total
  const variance = a * b / (total * total * (total + 1))
  const excess = 6 * ((a - b) ** 2 * (total + 1) - a * b * (total + 2)) / (a * b * (total + 2) * (total + 3))
  const average = sample.reduce((sum, value) => sum + value, 0) / n
  const spread = sample.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n
  return {
    mean: Math.abs(average - mean) / Math.sqrt(variance / n),
    variance: Math.abs(spread - variance) / (variance * Math.sqrt((excess + 2) / n)),
  }
}

/** A share of n trials as its distance from a probability in standard errors. */
export function shareDistance(share: number, probability: number, n: number): number {
  return Math.abs(share - probability) / Math.sqrt(probability * (1 - probability) / n)
}
