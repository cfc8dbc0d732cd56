/** @file Intervals about a mean, as wide as the calibrated scores say. */
import { OptionError, ShapeError } from '../errors/errors.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import type { RegressionScores } from './conformal-scores.js'
import { conformalQuantile, shortageNote } from './quantile.js'
import { rowMatrix, standardDeviations } from './row-matrix.js'

/** An interval for every entry of N x C. */
export interface Intervals {
  readonly level: number
  readonly lower: Tensor
  readonly upper: Tensor
  /**
   * The probability that is guaranteed to each output of a new row, if it comes from where the rows came from; 0: none.
   */
  readonly guarantee: number
  /** True where the coverage is expected and not proved. */
  readonly approximate: boolean
  /** What to know about them, for example that they are infinite as there are too few rows; else absent. */
  readonly note?: string
}

/**
 * mu -+ q sd (mu -+ q for scores without scale), q the conformal quantile of the output's scores. Infinite where there
 * are too few rows for the level.
 * @param mean N x C of new rows
 * @param sd N x C, predictive standard deviations as in calibration; for scores without scale undefined
 * @param level probability of coverage, between 0 and 1
 * @throws OptionError BAD_OPTION for the level, BAD_COMBINATION when sd is missing or out of place; ShapeError,
 *   DataError
 */
export function conformalIntervals(calibrated: RegressionScores, mean: Tensor, sd: Tensor | undefined,
  level: number): Intervals {
  if (calibrated.scaled !== (sd !== undefined)) {
    throw new OptionError('BAD_COMBINATION', calibrated.scaled
      ? 'These scores were divided by standard deviations: give sd.'
      : 'These scores were not divided by standard deviations: leave sd out.', { scaled: calibrated.scaled })
  }
  const mu = rowMatrix(mean, 'mean')
  if (mu.outputs !== calibrated.scores.length) {
    throw new ShapeError(`mean must have ${calibrated.scores.length} columns, as in calibration; got ${mu.outputs}.`, {
      expected: ['N', calibrated.scores.length],
      actual: mean.shape,
    })
  }
  const spread = sd === undefined ? undefined : standardDeviations(mu, sd)
  const quantiles = calibrated.scores.map(scores => conformalQuantile(scores, level))
  const half = mu.values.map((_, i) => quantiles[i % mu.outputs] * (spread?.[i] ?? 1))
  return {
    lower: float64(mean.shape, mu.values.map((value, i) => value - half[i])),
    upper: float64(mean.shape, mu.values.map((value, i) => value + half[i])),
    ...promise(calibrated, level),
  }
}

function promise({ kind, n }: RegressionScores, level: number): Omit<Intervals, 'lower' | 'upper'> {
  const note = shortageNote(n, level)
  const approximate = kind === 'jackknife'
  return { level, guarantee: approximate ? 0 : level, approximate, ...(note === undefined ? {} : { note }) }
}
