/** @file Area under the receiver operating characteristic: how well a score tells two groups apart. */
import { listOf } from '../errors/demand.js'
import { DataError } from '../errors/errors.js'

/**
 * The probability that a positive scores above a negative, ties counted half (Mann and Whitney 1947): 1 is perfect, 0.5
 * is chance.
 * @param scores one a point; higher should mean positive
 * @param positive 1 or true for the positives
 * @throws DataError BAD_LABELS when the lengths differ or one group is empty, NOT_FINITE
 * @example
 * auroc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0])   // 0.75
 */
export function auroc(scores: ArrayLike<number>, positive: ArrayLike<number | boolean>): number {
  const n = listOf('scores', scores).length
  listOf('positive', positive)
  if (positive.length !== n) {
    throw new DataError('BAD_LABELS', `auroc needs one label a score; got ${n} scores and ${positive.length} labels.`, {
      scores: n,
      labels: positive.length,
    })
  }
  const isPositive = Array.from(positive, label => label === true || label === 1)
  const positives = isPositive.filter(Boolean).length
  if (positives === 0 || positives === n) {
    throw new DataError('BAD_LABELS', `auroc needs positives and negatives; got ${positives} of ${n} positive.`, {
      positives,
      labels: n,
    })
  }
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => scores[a] - scores[b])
  let rankSum = 0
  for (let from = 0; from < n;) {
    const score = scores[order[from]]
    if (typeof score !== 'number' || Number.isNaN(score)) {
      throw new DataError('NOT_FINITE', `Score ${order[from]} is not a number.`, { row: order[from] })
    }
    let to = from
    while (to < n && scores[order[to]] === score) to++
    // Equal scores share the mean of the ranks from + 1 ... to.
    for (let i = from; i < to; i++) if (isPositive[order[i]]) rankSum += (from + 1 + to) / 2
    from = to
  }
  return (rankSum - positives * (positives + 1) / 2) / (positives * (n - positives))
}
