/**
 * @file Area under the risk-coverage curve (Geifman and El-Yaniv 2017): is the confidence low where the answer is
 * wrong?
 */
import type { Decisions } from './decisions.js'
import { rankedDecisions } from './ranked-decisions.js'

/**
 * 1/n sum_{k = 1..n} (share of wrong answers among the k most confident): 0 without errors, the error rate itself for a
 * confidence that tells nothing. Confidences may be of any scale. Answers of equal confidence are taken in all orders,
 * on average.
 */
export function riskCoverageArea(decisions: Decisions): number {
  const { correct } = rankedDecisions(decisions)
  const n = correct.length
  let [wrong, sum] = [0, 0]
  for (let kept = 1; kept <= n; kept++) {
    wrong += 1 - correct[n - kept]
    sum += wrong / kept
  }
  return sum / n
}
