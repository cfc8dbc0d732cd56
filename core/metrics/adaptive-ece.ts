/** @file Adaptive calibration error: expected calibration error with bins of equal mass (Nixon et al. 2019). */
import type { Decisions } from './decisions.js'
import { ECE_BINS } from './ece.js'
import { rankedDecisions } from './ranked-decisions.js'

/**
 * sum over bins of (share of answers) |accuracy - mean confidence|, bin b holding the answers whose rank by confidence
 * is from floor(b n / B) to floor((b + 1) n / B) - 1.
 *
 * Most confidences of a network lie near 1: bins of equal width put them all in one bin, where errors of both signs
 * cancel.
 */
export function adaptiveCalibrationError(decisions: Decisions, bins: number = ECE_BINS): number {
  const { confidence, correct } = rankedDecisions(decisions)
  const n = confidence.length
  let sum = 0
  for (let bin = 0; bin < bins; bin++) {
    let gap = 0
    const end = Math.floor((bin + 1) * n / bins)
    for (let i = Math.floor(bin * n / bins); i < end; i++) gap += correct[i] - confidence[i]
    sum += Math.abs(gap)
  }
  return sum / n
}
