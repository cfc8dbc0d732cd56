/**
 * @file Expected calibration error (Naeini, Cooper and Hauskrecht 2015): how far confidence is from the share of right
 * answers.
 */
import type { Decisions } from './decisions.js'

/** Bins of equal width that confidences are sorted into. */
export const ECE_BINS = 15

/** One bin (lo, hi] of confidences: what a reliability diagram draws. */
export interface CalibrationBin {
  readonly from: number
  readonly to: number
  readonly count: number
  readonly accuracy: number
  readonly confidence: number
}

/** The bins of equal width that hold at least one answer. */
export function calibrationBins({ confidence, correct }: Decisions, bins: number = ECE_BINS): CalibrationBin[] {
  const edges = Array.from({ length: bins + 1 }, (_, i) => i / bins)
  const count = new Float64Array(bins)
  const right = new Float64Array(bins)
  const total = new Float64Array(bins)
  for (let i = 0; i < confidence.length; i++) {
    const bin = edges.findIndex((edge, j) => j < bins && confidence[i] > edge && confidence[i] <= edges[j + 1])
    if (bin === -1) continue
    count[bin]++
    right[bin] += correct[i]
    total[bin] += confidence[i]
  }
  return edges.slice(0, bins)
    .map((from, j) => ({ from, to: edges[j + 1], count: count[j], accuracy: right[j] / count[j],
      confidence: total[j] / count[j] })
    )
    .filter(bin => bin.count > 0)
}

/** sum over bins of (share of answers) |accuracy - mean confidence|. */
export function expectedCalibrationError(decisions: Decisions, bins: number = ECE_BINS): number {
  return calibrationBins(decisions, bins).reduce(
    (sum, bin) => sum + bin.count / decisions.confidence.length * Math.abs(bin.accuracy - bin.confidence),
    0,
  )
}
