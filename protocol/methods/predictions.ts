/** @file Methods that ask a posterior for predictions, samples and densities. */
import type { PredictOptions } from '../../core/answer/posterior-options.js'
import type { Prediction } from '../../core/answer/prediction.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { PriorChanges } from '../../core/options/hyperparameters.js'
import { type Predictive, PREDICTIVES } from '../../core/options/words.js'
import { tensorToWire } from '../frames/arrays.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import { countParameter, flagParameter, optional, seedParameter, textsParameter } from '../messages/parameters.js'
import { arrayParameter, examplesParameter, optionalArray, optionalExamples, optionsOf,
  plainValues } from './arguments.js'
import { type Method, workOf } from './method.js'
import { predictorOf } from './mixtures.js'

const PREDICT_OPTIONS = ['link', 'predictive', 'samples', 'seed', 'joint', 'covariance', 'uncertainty', 'level',
  'quantiles', 'noise'] as const

/** The arrays of a prediction in the order of docs/protocol.md. */
const PREDICTION_PARTS = ['mean', 'variance', 'probabilities', 'aleatoric', 'epistemic', 'covariance',
  'predictiveCovariance', 'predictiveMean', 'predictiveVariance', 'novelty', 'noveltyScore', 'lower', 'upper', 'sets',
  'quantiles'] as const

/** Predictions for rows of inputs: the arrays that are asked for, or all there are. */
export const predict: Method = async (params, context, state) => {
  const options: PredictOptions = optionsOf(params, 'predict', PREDICT_OPTIONS, state)
  const parts = optional(params, 'parts') === undefined
    ? PREDICTION_PARTS
    : textsParameter(params, 'parts').map(part => oneOf('parts', part, PREDICTION_PARTS))
  return predictionToWire(
    await predictorOf(params, state).predict(examplesParameter(params, state), options, workOf(context)),
    parts,
  )
}

function predictionToWire(prediction: Prediction, parts: readonly string[]): WireMap {
  const arrays = PREDICTION_PARTS.filter(part => parts.includes(part)).map(part => {
    const value = prediction[part]
    return [part, value && tensorToWire(value)] as const
  })
  const { level, interval, seed, notes } = prediction
  return { ...Object.fromEntries(arrays), level, interval, seed, notes }
}

/** What training rows do, and what the others say of each. */
export const influence: Method = async (params, context, state) => {
  const { mean, variance, loss, change } = await state.objects.get('posterior', params).influence(
    examplesParameter(params, state),
    arrayParameter(params, 'y', state),
    { at: optionalExamples(params, 'at', state), sampleWeight: optionalArray(params, 'sampleWeight', state)?.data },
    workOf(context),
  )
  return { mean: tensorToWire(mean), variance: tensorToWire(variance), loss: tensorToWire(loss),
    change: change && tensorToWire(change) }
}

/** Gradients with respect to the input. */
export const inputGradients: Method = async (params, context, state) => {
  const { mean, variance, probabilities } = await predictorOf(params, state).inputGradients(
    examplesParameter(params, state),
    workOf(context),
  )
  return { mean: tensorToWire(mean), variance: tensorToWire(variance),
    probabilities: probabilities && tensorToWire(probabilities) }
}

/** The outputs and their covariances: N x C x C, or (N C) x (N C) with `joint`. */
export const functionalVariance: Method = async (params, context, state) => {
  const options = { joint: flagParameter(params, 'joint', false) }
  const { mean, covariance } = await predictorOf(params, state).functionalVariance(
    examplesParameter(params, state),
    options,
    workOf(context),
  )
  return { mean: tensorToWire(mean), covariance: tensorToWire(covariance) }
}

/** Draws of the weights: samples x P. */
export const sample: Method = (params, _context, state) => {
  const samples = state.objects.get('posterior', params).sample(countParameter(params, 'samples', 1), {
    seed: seedParameter(params),
  })
  return { samples: tensorToWire(samples) }
}

/** Draws of the outputs: samples x N x C. */
export const functionalSamples: Method = async (params, context, state) => {
  const posterior = predictorOf(params, state)
  const samples = await posterior.functionalSamples(examplesParameter(params, state),
    countParameter(params, 'samples', 1), drawOptions(params), workOf(context))
  return { samples: tensorToWire(samples) }
}

/** Draws of predictions, probabilities or means: samples x N x C. */
export const predictiveSamples: Method = async (params, context, state) => {
  const posterior = predictorOf(params, state)
  const samples = await posterior.predictiveSamples(examplesParameter(params, state),
    countParameter(params, 'samples', 1), drawOptions(params), workOf(context))
  return { samples: tensorToWire(samples) }
}

function drawOptions(params: DecodedMap): { readonly seed: number, readonly predictive: Predictive } {
  return { seed: seedParameter(params),
    predictive: oneOf('predictive', optional(params, 'predictive') ?? 'glm', PREDICTIVES) }
}

/** The log density of the posterior at theta: P, or S x P. */
export const logProb: Method = (params, _context, state) => {
  return {
    logProb: tensorToWire(state.objects.get('posterior', params).logProb(arrayParameter(params, 'theta', state))),
  }
}

/** The log marginal likelihood, at other hyper-parameters where they are given. */
export const logMarginalLikelihood: Method = (params, _context, state) => {
  const changes: PriorChanges = plainValues(params, ['priorPrecision', 'sigmaNoise'], state)
  return { value: state.objects.get('posterior', params).logMarginalLikelihood(changes) }
}
