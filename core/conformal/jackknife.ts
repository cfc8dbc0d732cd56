/**
 * @file The jackknife: leave-one-out residuals of the training rows stand for held-out ones. Approximate: the new
 * prediction is made with all rows, so that no coverage is guaranteed; it fails where the fit hangs on single rows
 * (Barber et al. 2021).
 */
import type { Tensor } from '../tensor/tensor.js'
import type { RegressionScores } from './conformal-scores.js'
import { rowMatrix, sortedColumns, standardDeviations } from './row-matrix.js'

/**
 * Scores |r| or, with `sd`, |r| / sd, an output at a time.
 * @param residuals N x C: y_i - mu_-i(x_i), each row predicted without itself
 * @param sd N x C predictive standard deviations of the same predictions, noise included
 * @throws ShapeError, OptionError BAD_OPTION for sd, DataError EMPTY_DATA, NOT_FINITE
 */
export function calibrateJackknife(residuals: Tensor, sd?: Tensor): RegressionScores {
  const { values, ...shape } = rowMatrix(residuals, 'residuals')
  const spread = sd === undefined ? undefined : standardDeviations({ values, ...shape }, sd)
  const scores = values.map((value, i) => Math.abs(value) / (spread?.[i] ?? 1))
  return { kind: 'jackknife', n: shape.rows, scaled: sd !== undefined, scores: sortedColumns(scores, shape.outputs) }
}
