/**
 * @file Risk by coverage (Geifman and El-Yaniv 2017): the share of wrong answers among those given, where the least
 * confident rows are left unanswered.
 */
import type { Decisions } from './decisions.js'
import { rankedDecisions } from './ranked-decisions.js'

/** A curve from few answers to all. */
export interface RiskCoverageCurve {
  /** Share of rows that are answered, rising to 1. */
  readonly coverage: readonly number[]
  /** Share of wrong answers among them. */
  readonly risk: readonly number[]
}

/** The curve at `points` coverages of equal distance; rows of equal confidence are wrong in equal parts. */
export function riskCoverageCurve(decisions: Decisions, points = 100): RiskCoverageCurve {
  const { correct } = rankedDecisions(decisions)
  const n = correct.length
  const wrong = new Float64Array(n + 1)
  for (let kept = 1; kept <= n; kept++) wrong[kept] = wrong[kept - 1] + 1 - correct[n - kept]
  const kept = Array.from({ length: Math.min(points, n) }, (_, i) => Math.round((i + 1) * n / Math.min(points, n)))
  return { coverage: kept.map(k => k / n), risk: kept.map(k => wrong[k] / k) }
}
