/** @file How well an uncertainty tells rows that are no data from rows that are. */
import { auroc } from './auroc.js'
import { falsePositiveRateAt95 } from './fpr-at-95-tpr.js'

/** Both scores of one uncertainty. */
export interface OutlierScores {
  /** The probability that a row that is no data is more uncertain than a row of data; 1 is perfect, 0.5 is chance. */
  readonly auroc: number
  /** The share of rows that are no data and pass where 95 % of the rows of data pass; 0 is perfect, 0.95 is chance. */
  readonly fprAt95Tpr: number
}

/**
 * AUROC and false positive rate at 95 % true positive rate (Hendrycks and Gimpel 2017; Liang, Li and Srikant 2018).
 * @param ofData uncertainties of rows of data that the fit has not seen; of any scale, higher means less like data
 * @param ofOthers uncertainties of rows that are no data
 * @throws DataError BAD_LABELS when one is empty, NOT_FINITE
 */
export function outlierScores(ofData: ArrayLike<number>, ofOthers: ArrayLike<number>): OutlierScores {
  const all = Float64Array.from([...Array.from(ofData), ...Array.from(ofOthers)])
  return {
    auroc: auroc(all, Uint8Array.from(all, (_, i) => (i < ofData.length ? 0 : 1))),
    fprAt95Tpr: falsePositiveRateAt95(ofData, ofOthers),
  }
}
