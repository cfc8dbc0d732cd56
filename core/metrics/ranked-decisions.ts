/**
 * @file Answers ordered by their confidence, equal ones treated alike, so that the order of the rows changes no score.
 */
import type { Decisions } from './decisions.js'

/** Answers by rising confidence. */
export interface RankedDecisions {
  readonly confidence: Float64Array
  /** The share of right answers among those of the same confidence: 0 or 1 where there is one only. */
  readonly correct: Float64Array
}

/**
 * Sorts the answers; those of equal confidence share their mean correctness, which is its mean over all their orders.
 */
export function rankedDecisions(decisions: Decisions): RankedDecisions {
  const n = decisions.confidence.length
  const order = Uint32Array.from({ length: n }, (_, i) => i)
    .sort((a, b) => decisions.confidence[a] - decisions.confidence[b])
  const confidence = Float64Array.from(order, i => decisions.confidence[i])
  const correct = new Float64Array(n)
  for (let from = 0, to = 0; from < n; from = to) {
    let right = 0
    for (to = from; to < n && confidence[to] === confidence[from]; to++) right += decisions.correct[order[to]]
    correct.fill(right / (to - from), from, to)
  }
  return { confidence, correct }
}
