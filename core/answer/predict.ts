/** @file From the options of a prediction to the prediction. */
import type { WorkOptions } from '../budget/progress.js'
import type { Calibration } from '../conformal/calibration.js'
import { listOf } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { flag, knownOptions, oneOf } from '../errors/suggest.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { whole } from '../options/option-values.js'
import { type Likelihood, LINKS, PREDICTIVES } from '../options/words.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { drawnNumbers } from './drawn-prediction.js'
import { finiteFields } from './finite-results.js'
import { glmNumbers } from './glm-prediction.js'
import { PREDICT_OPTIONS, type PredictOptions } from './posterior-options.js'
import { noiseOf, type PosteriorState } from './posterior-state.js'
import { laidOut } from './prediction-layout.js'
import { assembled, type PredictionNumbers } from './prediction-numbers.js'
import type { Prediction, PredictionRequest } from './prediction.js'
import { type IntervalFields, intervalFields, type IntervalRequest, openProbability } from './predictive-intervals.js'
import { type InputPrograms, predictionContext } from './programs-by-input.js'

/**
 * Predictions for N rows of inputs, in the layout of the network's outputs.
 * @throws ShapeError, DataError, OptionError, CancelledError
 */
export async function predict(state: PosteriorState, programs: InputPrograms, x: Examples, options: PredictOptions,
  work: WorkOptions): Promise<Prediction> {
  // What is wrong with the rows is said before anything is computed.
  programs(x)
  return predictionFor(state, programs, x, options, await computedPrediction(state, programs, x, options, work))
}

/** The prediction for rows of which the numbers have been computed, here or elsewhere. @throws as predictionOf */
export function predictionFor(state: PosteriorState, programs: InputPrograms, x: Examples, options: PredictOptions,
  computed: ComputedPrediction): Prediction {
  return laidOut(predictionOf(state, options, computed), programs(x).evaluator.network, state.options.likelihood,
    exampleCount(x))
}

/** Predictions for every term of N rows: (N T) x C. @throws ShapeError, DataError, OptionError, CancelledError */
export async function predictTerms(state: PosteriorState, programs: InputPrograms, x: Examples, options: PredictOptions,
  work: WorkOptions): Promise<Prediction> {
  return predictionOf(state, options, await computedPrediction(state, programs, x, options, work))
}

/** What a prediction is made of, as plain data, for every term of N rows. */
export interface ComputedPrediction {
  readonly numbers: PredictionNumbers
  readonly notes: readonly string[]
}

/** Computes a prediction, which `predictionOf` then puts together. @throws as predictTerms */
export async function computedPrediction(state: PosteriorState, programs: InputPrograms, x: Examples,
  options: PredictOptions, work: WorkOptions): Promise<ComputedPrediction> {
  const { request } = requested(state, options)
  const notes: string[] = []
  const context = predictionContext(state, programs, x, sentence => {
    notes.push(sentence)
  })
  const compute = options.predictive === 'nn' ? drawnNumbers : glmNumbers
  return { numbers: await compute(context, x, request, work), notes }
}

/** The prediction of computed numbers, term by term. @throws OptionError, NumericalError OVERFLOW */
function predictionOf(state: PosteriorState, options: PredictOptions,
  { numbers, notes }: ComputedPrediction): Prediction {
  const { request, intervals } = requested(state, options)
  const prediction = assembled(numbers, request, notes)
  return finiteFields(withIntervals(prediction, note => intervalFields(prediction, intervals, note)), 'the prediction')
}

/** What is asked for, with every default said. @throws OptionError */
function requested(state: PosteriorState,
  options: PredictOptions): { readonly request: PredictionRequest, readonly intervals: IntervalRequest } {
  knownOptions('predict', options, PREDICT_OPTIONS)
  const link = options.link === undefined ? undefined : oneOf('link', options.link, LINKS)
  if (options.predictive !== undefined) oneOf('predictive', options.predictive, PREDICTIVES)
  const { conformal, choice, options: { likelihood } } = state
  return {
    intervals: intervalRequest({ conformal, ownAnswer: choice !== undefined, likelihood }, options),
    request: {
      link,
      likelihood: likelihoodModel(likelihood),
      answer: choice,
      trainingVariances: state.trainingVariances,
      sigmaNoise: noiseOf(state),
      noiseCovariance: state.options.noiseCovariance,
      seed: whole('seed', options.seed ?? state.options.seed, 0),
      samples: whole('samples', options.samples, 1),
      joint: flag('joint', options.joint, false),
      covariance: flag('covariance', options.covariance, false),
      uncertainty: flag('uncertainty', options.uncertainty, true),
    },
  }
}

/** Whose intervals are asked for. */
interface IntervalSource {
  readonly conformal: Calibration | undefined
  /** Whether the fit chose the link. */
  readonly ownAnswer: boolean
  readonly likelihood: Likelihood
}

/** The intervals that are asked for. @throws OptionError BAD_OPTION, BAD_COMBINATION */
export function intervalRequest({ conformal, ownAnswer, likelihood }: IntervalSource,
  { level, quantiles, noise, link, predictive = 'glm' }: PredictOptions): IntervalRequest {
  const probabilities = quantiles === undefined
    ? undefined
    : typeof quantiles === 'number'
    ? [quantiles]
    : Array.from(listOf('quantiles', quantiles))
  if (probabilities?.length === 0) {
    throw new OptionError('BAD_OPTION',
      'Option quantiles must name at least one probability, for example [0.05, 0.95].', { option: 'quantiles' })
  }
  const otherLink = hasLogits(likelihood) && link !== undefined && (ownAnswer || link !== 'probit')
  if (conformal !== undefined && level !== undefined && noise !== false && (otherLink || predictive !== 'glm')) {
    throw new OptionError('BAD_COMBINATION',
      "The calibration is for the posterior's own predictions; with another link or predictive its guarantee would " +
        'be lost. Leave link and predictive out where a level is asked for.', {
      option: otherLink ? 'link' : 'predictive',
    })
  }
  return {
    level: level === undefined ? undefined : openProbability('level', level),
    quantiles: probabilities === undefined
      ? undefined
      : Float64Array.from(probabilities, p => openProbability('quantiles', p)),
    noise: flag('noise', noise, true),
    calibration: predictive === 'glm' ? conformal : undefined,
    likelihood: likelihoodModel(likelihood),
  }
}

/** The prediction with its intervals; what waits until it is read goes on waiting. */
export function withIntervals(prediction: Prediction,
  fieldsOf: (note: (sentence: string) => void) => IntervalFields): Prediction {
  const added: string[] = []
  const fields = fieldsOf(sentence => {
    added.push(sentence)
  })
  if (Object.keys(fields).length === 0) return prediction
  const notes = [...prediction.notes, ...added]
  return Object.defineProperties({ mean: prediction.mean, variance: prediction.variance, notes }, {
    ...Object.getOwnPropertyDescriptors(prediction),
    ...Object.getOwnPropertyDescriptors({ ...fields, notes }),
  })
}
