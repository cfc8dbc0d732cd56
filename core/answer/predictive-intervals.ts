/** @file Intervals, quantiles and sets of classes of a prediction: Gaussian, or as wide as a calibration says. */
import type { Calibration } from '../conformal/calibration.js'
import type { RegressionScores, SetScores } from '../conformal/conformal-scores.js'
import { conformalIntervals } from '../conformal/intervals.js'
import { labelSets } from '../conformal/label-sets.js'
import { conformalQuantile, shortageNote } from '../conformal/quantile.js'
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { centralHalfWidth, normalQuantile } from '../kernels/normal-quantile.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { Observation } from '../likelihood/observation.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'
import type { IntervalKind } from './interval-kind.js'
import type { Prediction } from './prediction.js'

/** What is asked for beside means, variances and probabilities. */
export interface IntervalRequest {
  readonly level: number | undefined
  /** Probabilities of the quantiles. */
  readonly quantiles: Float64Array | undefined
  /** Whether intervals are for new observations; false: for the function alone. */
  readonly noise: boolean
  readonly calibration: Calibration | undefined
  readonly likelihood: LikelihoodModel
}

/** The fields of a prediction that intervals fill. */
export type IntervalFields = Pick<Prediction, 'level' | 'interval' | 'lower' | 'upper' | 'sets' | 'quantiles'>

/**
 * The probability of an interval or a quantile.
 * @throws OptionError BAD_OPTION unless it lies between 0 and 1
 */
export function openProbability(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value < 1) return value
  throw new OptionError('BAD_OPTION', `Option ${option} must lie between 0 and 1, for example 0.9; got ` +
    `${shown(value)}.`, { option, value })
}

/**
 * Intervals and quantiles of a regression, or sets of classes.
 * @throws OptionError BAD_COMBINATION where the posterior has none
 */
export function intervalFields(prediction: Prediction, request: IntervalRequest,
  note: (sentence: string) => void): IntervalFields {
  const { level, quantiles, calibration } = request
  if (level === undefined && quantiles === undefined) return {}
  if (calibration?.approximate === true && request.noise) {
    note(`The ${prediction.probabilities === undefined ? 'intervals are' : 'sets are'} calibrated by training rows, ` +
      'each predicted without itself: approximate, without a guarantee. Rows that the network has not seen give one: ' +
      'conformalize(x, y).')
  }
  return prediction.probabilities === undefined
    ? numberFields(prediction, request, note)
    : setFields(prediction.probabilities, request, note)
}

/** Of numbers: by the calibration where there is one, else by the predictive distribution. */
function numberFields(prediction: Prediction, request: IntervalRequest,
  note: (sentence: string) => void): IntervalFields {
  const { likelihood, noise, calibration } = request
  const { mean, predictiveMean = mean, predictiveVariance } = prediction
  if (likelihood.observation === undefined) return gaussianFields(prediction, request, note)
  if (noise && regressionScores(calibration) !== undefined && predictiveVariance !== undefined) {
    const fields = gaussianFields({ ...prediction, mean: predictiveMean }, request, note)
    return likelihood.name === 'poisson' ? { ...fields, ...notBelowZero(fields) } : fields
  }
  return observedFields(prediction, request, likelihood.observation)
}

/** Counts are not negative: what lies below 0 of an interval holds none of them. */
function notBelowZero(fields: IntervalFields): IntervalFields {
  return Object.fromEntries((['lower', 'upper', 'quantiles'] as const).flatMap(name => {
    const values = fields[name]
    return values === undefined ? [] : [[name, float64(values.shape, toFloat64(values).map(v => Math.max(0, v)))]]
  }))
}

/** Of the distribution of a new observation, or without noise of that of its mean. */
function observedFields({ mean, variance, predictiveMean = mean }: Prediction,
  { level, quantiles, noise, likelihood }: IntervalRequest, observation: Observation): IntervalFields {
  const [examples, outputs] = mean.shape
  const [f, v] = [toFloat64(mean), toFloat64(variance)]
  const { shape } = predictiveMean
  const at = (p: number): Float64Array =>
    noise
      ? observation.quantiles(p, f, v, examples, outputs)
      : observation.meanQuantiles(p, f, v, examples, outputs)
  return {
    interval: !noise ? 'credible' : likelihood.name === 'poisson' ? 'poisson' : 'gaussian',
    ...(level === undefined
      ? {}
      : { level, lower: float64(shape, at((1 - level) / 2)), upper: float64(shape, at((1 + level) / 2)) }),
    ...(quantiles === undefined ? {} : { quantiles: beside(Array.from(quantiles, at), shape) }),
  }
}

/** Q arrays of N x K as N x K x Q. */
export function beside(columns: readonly Float64Array[], shape: readonly number[]): Tensor {
  const count = columns.length
  const values = new Float64Array(count * columns[0].length)
  columns.forEach((column, q) => {
    column.forEach((value, i) => {
      values[i * count + q] = value
    })
  })
  return float64([...shape, count], values)
}

function gaussianFields({ mean, variance, predictiveVariance }: Prediction,
  { level, quantiles, noise, calibration }: IntervalRequest, note: (sentence: string) => void): IntervalFields {
  const spread = deviations(noise && predictiveVariance !== undefined ? predictiveVariance : variance)
  const scores = noise ? regressionScores(calibration) : undefined
  const interval = !noise || predictiveVariance === undefined
    ? 'credible'
    : scores === undefined
    ? 'gaussian'
    : kindOf(calibration)
  return {
    interval,
    ...(level === undefined ? {} : { level, ...intervalsAt(mean, spread, scores, level, note) }),
    ...(quantiles === undefined ? {} : { quantiles: quantilesAt(mean, spread, scores, quantiles, note) }),
  }
}

function regressionScores(calibration: Calibration | undefined): RegressionScores | undefined {
  const scores = calibration?.scores
  return scores?.kind === 'split' || scores?.kind === 'jackknife' ? scores : undefined
}

function kindOf(calibration: Calibration | undefined): IntervalKind {
  return calibration?.approximate === true ? 'jackknife' : 'conformal'
}

function deviations(variance: Tensor): Tensor {
  return float64(variance.shape, toFloat64(variance).map(Math.sqrt))
}

/** mean -+ q sd with the calibrated quantile q of the output, or that of the normal distribution. */
function intervalsAt(mean: Tensor, sd: Tensor, scores: RegressionScores | undefined, level: number,
  note: (sentence: string) => void): Required<Pick<Prediction, 'lower' | 'upper'>> {
  if (scores !== undefined && mean.data.length > 0) {
    const { lower, upper, note: sentence } = conformalIntervals(scores, mean, sd, level)
    if (sentence !== undefined) note(sentence)
    return { lower, upper }
  }
  const half = toFloat64(sd).map(value => centralHalfWidth(level) * value)
  const centre = toFloat64(mean)
  return { lower: float64(mean.shape, centre.map((value, i) => value - half[i])),
    upper: float64(mean.shape, centre.map((value, i) => value + half[i])) }
}

/**
 * N x C x Q. Of a calibrated posterior the quantiles p and 1 - p are the ends of the interval of level |2p - 1|: both
 * together keep its guarantee, each alone does not.
 */
function quantilesAt(mean: Tensor, sd: Tensor, scores: RegressionScores | undefined, probabilities: Float64Array,
  note: (sentence: string) => void): Tensor {
  const [, outputs = 1] = mean.shape
  const factors = Array.from({ length: outputs },
    (_, c) =>
      probabilities.map(p => (scores === undefined ? normalQuantile(p) : calibratedFactor(scores.scores[c], p))))
  if (scores !== undefined) {
    const widest = probabilities.reduce((most, p) => Math.max(most, Math.abs(2 * p - 1)), 0)
    const sentence = widest > 0 ? shortageNote(scores.n, widest) : undefined
    if (sentence !== undefined) note(sentence)
  }
  const [centre, spread] = [toFloat64(mean), toFloat64(sd)]
  const count = probabilities.length
  const values = new Float64Array(centre.length * count)
  centre.forEach((value, i) => {
    for (let q = 0; q < count; q++) values[i * count + q] = value + factors[i % outputs][q] * spread[i]
  })
  return float64([...mean.shape, count], values)
}

function calibratedFactor(scores: Float64Array, p: number): number {
  return p === 0.5 ? 0 : Math.sign(p - 0.5) * conformalQuantile(scores, Math.abs(2 * p - 1))
}

function setFields(probabilities: Tensor, { level, quantiles, noise, calibration }: IntervalRequest,
  note: (sentence: string) => void): IntervalFields {
  if (quantiles !== undefined || !noise) {
    throw new OptionError('BAD_COMBINATION',
      `Option ${quantiles === undefined ? 'noise' : 'quantiles'} is for numbers; classes have sets (option level).`, {
      option: quantiles === undefined ? 'noise' : 'quantiles',
    })
  }
  const scores = setScores(calibration)
  if (level === undefined || scores === undefined) {
    throw new OptionError('BAD_COMBINATION',
      'Sets of classes at a level need a calibration by rows that the network has not seen: ' +
        'conformalize(x, y). Predict with the posterior that it gives.', { option: 'level' })
  }
  const [rows, outputs] = probabilities.shape
  if (rows === 0) return { level, interval: kindOf(calibration), sets: noSets(outputs) }
  const { members, note: sentence } = labelSets(scores, probabilities, level)
  if (sentence !== undefined) note(sentence)
  return { level, interval: kindOf(calibration), sets: members }
}

function setScores(calibration: Calibration | undefined): SetScores | undefined {
  const scores = calibration?.scores
  return scores?.kind === 'adaptive' || scores?.kind === 'threshold' ? scores : undefined
}

function noSets(outputs: number): Tensor {
  return { dtype: 'bool', shape: [0, outputs === 1 ? 2 : outputs], data: new Uint8Array(0) }
}
