/** @file Methods that ask a posterior for predictions, samples and densities. */
import { oneOf } from '../../core/errors/suggest.js'
import type { PredictOptions, PriorChanges } from '../../core/laplace/posterior-options.js'
import type { Prediction } from '../../core/laplace/prediction.js'
import { type Predictive, PREDICTIVES } from '../../core/options/words.js'
import { tensorToWire } from '../frames/arrays.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import { countParameter, flagParameter, optional, seedParameter, textsParameter } from '../messages/parameters.js'
import { arrayParameter, optionsOf, plainValues } from './arguments.js'
import { type Method, workOf } from './method.js'

const PREDICT_OPTIONS = ['link', 'predictive', 'samples', 'seed', 'joint', 'covariance', 'uncertainty'] as const

/** The arrays of a prediction in the order of docs/protocol.md. */
const PREDICTION_PARTS = ['mean', 'variance', 'probabilities', 'aleatoric', 'epistemic', 'covariance',
  'predictiveVariance'] as const

export const predict: Method = async (params, context, bench) => {
  const options: PredictOptions = optionsOf(params, 'predict', PREDICT_OPTIONS, bench)
  const parts = optional(params, 'parts') === undefined
    ? PREDICTION_PARTS
    : textsParameter(params, 'parts').map(part => oneOf('parts', part, PREDICTION_PARTS))
  return predictionToWire(
    await bench.objects.get('posterior', params).predict(arrayParameter(params, 'x', bench), options, workOf(context)),
    parts,
  )
}

function predictionToWire(prediction: Prediction, parts: readonly string[]): WireMap {
  const arrays = PREDICTION_PARTS.filter(part => parts.includes(part)).map(part => {
    const value = prediction[part]
    return [part, value && tensorToWire(value)] as const
  })
  return { ...Object.fromEntries(arrays), seed: prediction.seed, notes: prediction.notes }
}

export const functionalVariance: Method = async (params, context, bench) => {
  const options = { joint: flagParameter(params, 'joint', false) }
  const { mean, covariance } = await bench.objects.get('posterior', params).functionalVariance(
    arrayParameter(params, 'x', bench),
    options,
    workOf(context),
  )
  return { mean: tensorToWire(mean), covariance: tensorToWire(covariance) }
}

export const sample: Method = (params, _context, bench) => {
  const samples = bench.objects.get('posterior', params).sample(countParameter(params, 'samples', 1), {
    seed: seedParameter(params),
  })
  return { samples: tensorToWire(samples) }
}

export const functionalSamples: Method = async (params, context, bench) => {
  const posterior = bench.objects.get('posterior', params)
  const samples = await posterior.functionalSamples(arrayParameter(params, 'x', bench),
    countParameter(params, 'samples', 1), drawOptions(params), workOf(context))
  return { samples: tensorToWire(samples) }
}

export const predictiveSamples: Method = async (params, context, bench) => {
  const posterior = bench.objects.get('posterior', params)
  const samples = await posterior.predictiveSamples(arrayParameter(params, 'x', bench),
    countParameter(params, 'samples', 1), drawOptions(params), workOf(context))
  return { samples: tensorToWire(samples) }
}

function drawOptions(params: DecodedMap): { readonly seed: number, readonly predictive: Predictive } {
  return { seed: seedParameter(params),
    predictive: oneOf('predictive', optional(params, 'predictive') ?? 'glm', PREDICTIVES) }
}

export const logProb: Method = (params, _context, bench) => {
  return {
    logProb: tensorToWire(bench.objects.get('posterior', params).logProb(arrayParameter(params, 'theta', bench))),
  }
}

export const logMarginalLikelihood: Method = (params, _context, bench) => {
  const changes: PriorChanges = plainValues(params, ['priorPrecision', 'sigmaNoise'], bench)
  return { value: bench.objects.get('posterior', params).logMarginalLikelihood(changes) }
}
