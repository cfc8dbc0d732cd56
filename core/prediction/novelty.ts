/**
 * @file How unlike the training rows a row is: the variance of its outputs over all weights, compared with the
 * training rows' own variances, each left out in turn.
 */

/** Scores and their p-values, N. */
export interface Novelty {
  readonly score: Float64Array
  readonly pValue: Float64Array
}

/**
 * The score is the mean over the outputs of the variance (over sigma^2 for regression); the p-value is
 * (1 + number of training rows with a score at least as large) / (number of training rows + 1).
 * @param variance N x C
 * @param training leave-one-out scores of the training rows, ascending
 * @param sigma of every output; undefined where there is no noise
 */
export function noveltyOf(variance: Float64Array, examples: number, training: Float64Array,
  sigma: Float64Array | undefined): Novelty {
  const outputs = variance.length / Math.max(1, examples)
  const score = new Float64Array(examples)
  variance.forEach((value, i) => {
    score[Math.floor(i / outputs)] += value / outputs / (sigma === undefined ? 1 : sigma[i % outputs] ** 2)
  })
  const pValue = score.map(value => (1 + training.length - firstNotBelow(training, value)) / (training.length + 1))
  return { score, pValue }
}

/** The index of the first entry of an ascending list that is not below a value. */
function firstNotBelow(list: Float64Array, value: number): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle] < value) low = middle + 1
    else high = middle
  }
  return low
}
