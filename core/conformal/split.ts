/**
 * @file Split conformal regression (Papadopoulos et al. 2002; Lei et al. 2018): held-out rows say how wide an interval
 * must be.
 */
import type { Tensor } from '../tensor/tensor.js'
import type { RegressionScores } from './conformal-scores.js'
import { rowMatrix, rowMatrixLike, sortedColumns, standardDeviations } from './row-matrix.js'

/**
 * Scores |y - mu| / sd of rows that neither training nor fit has seen, an output at a time.
 *
 * Rows seen before make the scores too small and the intervals too narrow, and nothing would show it.
 * @param mean N x C
 * @param sd N x C predictive standard deviations, noise included
 * @param y N x C
 * @throws ShapeError, OptionError BAD_OPTION for sd, DataError EMPTY_DATA, NOT_FINITE
 */
export function calibrateSplit(mean: Tensor, sd: Tensor, y: Tensor): RegressionScores {
  const mu = rowMatrix(mean, 'mean')
  const spread = standardDeviations(mu, sd)
  const truth = rowMatrixLike(mu, y, 'y')
  const scores = truth.values.map((value, i) => Math.abs(value - mu.values[i]) / spread[i])
  return { kind: 'split', n: mu.rows, scaled: true, scores: sortedColumns(scores, mu.outputs) }
}
