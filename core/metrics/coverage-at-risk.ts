/**
 * @file Coverage at a risk (Geifman and El-Yaniv 2017): how many rows may be answered when few answers may be wrong.
 */
import type { Decisions } from './decisions.js'
import { rankedDecisions } from './ranked-decisions.js'

/** Sums of shares of tied answers may end a rounding above the risk. */
const SLACK = 1e-12

/**
 * The largest share of answers that a threshold on the confidence can keep with a share of wrong ones among them of at
 * most `risk`; 0 when none can. The threshold is chosen on these very labels: on other rows the risk will be a little
 * higher.
 */
export function coverageAtRisk(decisions: Decisions, risk: number): number {
  const { confidence, correct } = rankedDecisions(decisions)
  const n = confidence.length
  let [wrong, best] = [0, 0]
  for (let kept = 1; kept <= n; kept++) {
    wrong += 1 - correct[n - kept]
    // No threshold parts answers of equal confidence.
    const isCut = kept === n || confidence[n - kept] !== confidence[n - kept - 1]
    if (isCut && wrong <= risk * kept + SLACK * kept) best = kept
  }
  return best / n
}
