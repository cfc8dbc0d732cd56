/** @file What coverage intervals and sets had on rows that the model had not seen. */
import { conformalQuantile } from '../conformal/quantile.js'
import { centralHalfWidth } from '../kernels/normal-quantile.js'
import type { PosteriorState } from './posterior-state.js'

/** A share of rows, by output where there are several. */
export interface MeasuredCoverage {
  readonly level: number
  /** Whether the width comes from a calibration by these rows, or from the Gaussian predictive distribution. */
  readonly interval: 'calibrated' | 'gaussian'
  /** `held out`, or training rows that were each predicted without themselves. */
  readonly rowsFrom: 'held out' | 'left out'
  readonly rows: number
  readonly coverage: readonly number[]
}

/**
 * The share of rows whose score is within the bound of a level: of the calibration's rows, else of the training rows
 * left out with Gaussian intervals. Undefined where neither is kept.
 */
export function measuredCoverage({ conformal, leftOut }: PosteriorState, level: number): MeasuredCoverage | undefined {
  if (conformal !== undefined) {
    const { scores, approximate } = conformal
    const lists = 'scaled' in scores ? scores.scores : [scores.scores]
    return { level, interval: 'calibrated', rowsFrom: approximate ? 'left out' : 'held out', rows: scores.n,
      coverage: lists.map(list => shareWithin(list, conformalQuantile(list, level))) }
  }
  if (leftOut?.kind !== 'residuals') return undefined
  return { level, interval: 'gaussian', rowsFrom: 'left out', rows: leftOut.scores[0].length,
    coverage: leftOut.scores.map(list => shareWithin(list, centralHalfWidth(level))) }
}

function shareWithin(scores: Float64Array, bound: number): number {
  return scores.filter(score => score <= bound).length / Math.max(1, scores.length)
}
