/**
 * @file Area under the risk-coverage curve (Geifman and El-Yaniv 2017): is the confidence low where the answer is
 * wrong?
 */
import type { Decisions } from './decisions.js'
import { riskCoverageCurve } from './risk-coverage-curve.js'

/**
 * 1/n sum_{k = 1..n} (share of wrong answers among the k most confident): 0 without errors, the error rate itself for a
 * confidence that tells nothing. Confidences may be of any scale. Answers of equal confidence are taken in all orders,
 * on average.
 */
export function riskCoverageArea(decisions: Decisions): number {
  const { risk } = riskCoverageCurve(decisions, decisions.confidence.length)
  return risk.reduce((sum, value) => sum + value, 0) / risk.length
}
