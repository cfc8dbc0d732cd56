/** @file Calibrates a posterior: by rows that nothing has seen, or by training rows, each predicted without itself. */
import { labelled, type LabelledTerms } from '../answer/labelled-terms.js'
import { CONFORMAL_OPTIONS, type ConformalOptions } from '../answer/posterior-options.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { predictTerms } from '../answer/predict.js'
import type { Prediction } from '../answer/prediction.js'
import type { InputPrograms } from '../answer/programs-by-input.js'
import type { WorkOptions } from '../budget/progress.js'
import { type Calibration, leftOutSetScores, SET_SCORES, type SetScore } from '../conformal/calibration.js'
import { calibrateSets } from '../conformal/label-sets.js'
import { calibrateSplit } from '../conformal/split.js'
import { DataError, OptionError, StateError } from '../errors/errors.js'
import { flag, knownOptions, oneOf } from '../errors/suggest.js'
import { hasLogits, hasNumbers } from '../options/likelihood-kinds.js'
import { whole } from '../options/option-values.js'
import type { Likelihood } from '../options/words.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'

/**
 * Held-out rows, or none.
 * @throws DataError BAD_ARRAY when one of the two is missing
 */
export function rowsOf(x: Examples | undefined, y: Tensor | undefined): Batch | undefined {
  if (x !== undefined && y !== undefined) return { x, y }
  if (x === undefined && y === undefined) return undefined
  const array = x === undefined ? 'x' : 'y'
  throw new DataError('BAD_ARRAY', `${array} is missing: conformalize takes x and y, or neither.`, { array })
}

/** Options with their defaults. */
export interface Scoring {
  readonly score: SetScore
  readonly randomised: boolean
  readonly seed: number
}

/**
 * The state with a calibration in it.
 * @param rows rows that neither network nor fit has seen; undefined: the training rows, each predicted without itself
 * @throws OptionError for options, and for multilabel; StateError NOT_FITTED without rows where none were left out;
 *   ShapeError, DataError
 */
export async function conformalize(state: PosteriorState, programs: InputPrograms, rows: Batch | undefined,
  options: ConformalOptions, work: WorkOptions): Promise<PosteriorState> {
  const { likelihood, seed } = state.options
  const scoring = scoringOf(likelihood, seed, options)
  if (rows === undefined) return { ...state, conformal: fromLeftOut(state, scoring) }
  const terms = labelled(rows.y, likelihood, exampleCount(rows.x), programs(rows.x).evaluator.network)
  const prediction = await predictTerms(state, programs, rows.x, { uncertainty: false }, work)
  return { ...state, conformal: heldOutCalibration(prediction, terms, scoring) }
}

/** The options with their defaults. @throws OptionError, also for likelihoods that have no calibration */
export function scoringOf(likelihood: Likelihood, own: number, options: ConformalOptions): Scoring {
  knownOptions('conformalize', options, CONFORMAL_OPTIONS)
  if (!hasLogits(likelihood) && !hasNumbers(likelihood)) {
    throw new OptionError('BAD_COMBINATION',
      `Intervals and sets are calibrated by observations; likelihood '${likelihood}' predicts the outputs alone, whose `
        + 'credible intervals predict gives (level).', { likelihood })
  }
  if (likelihood === 'multilabel') {
    throw new OptionError('BAD_COMBINATION',
      'Conformal sets are for exclusive classes and intervals for regression; labels of multilabel are neither. ' +
        'Fit each label alone, as binary.', { likelihood })
  }
  const { score, seed = own } = options
  const randomised = flag('randomised', options.randomised, false)
  if (hasNumbers(likelihood) && (score !== undefined || randomised)) {
    throw new OptionError('BAD_COMBINATION',
      `Option ${score === undefined ? 'randomised' : 'score'} is for classes; intervals are scored by ` +
        'residuals over standard deviations.', { option: score === undefined ? 'randomised' : 'score', likelihood })
  }
  return { score: score === undefined ? 'aps' : oneOf('score', score, SET_SCORES), randomised,
    seed: whole('seed', seed, 0) }
}

/** How wrong the predictions of rows held out are, by their own measure. @param prediction term by term */
export function heldOutCalibration(prediction: Prediction, terms: LabelledTerms,
  { score, randomised, seed }: Scoring): Calibration {
  const { probabilities, predictiveMean = prediction.mean, predictiveVariance = predictiveMean } = prediction
  if (probabilities === undefined) {
    const mean = terms.rows(predictiveMean)
    const sd = float64(mean.shape, toFloat64(terms.rows(predictiveVariance)).map(Math.sqrt))
    return { approximate: false, scores: calibrateSplit(mean, sd, float64(mean.shape, terms.labels)) }
  }
  return {
    approximate: false,
    scores: calibrateSets(terms.rows(probabilities), float64([terms.count], terms.labels), {
      score: score === 'aps' ? 'adaptive' : 'threshold',
      randomised,
      seed,
    }),
  }
}

function fromLeftOut({ leftOut }: PosteriorState, { score, randomised, seed }: Scoring): Calibration {
  if (leftOut === undefined) {
    throw new StateError('NOT_FITTED',
      'This posterior keeps no predictions of training rows without themselves; only a fit that chooses its prior ' +
        "from the training rows (tune: 'auto') does. Give rows that the network has not seen: conformalize(x, y).")
  }
  if (leftOut.kind === 'classes') {
    return { approximate: true, scores: leftOutSetScores(leftOut, score, randomised, seed) }
  }
  const { scores } = leftOut
  return { approximate: true, scores: { kind: 'jackknife', n: scores[0].length, scaled: true, scores } }
}
