/** @file How a prediction is put together of its numbers. */
import type { ObservationMoments } from '../likelihood/observation.js'
import type { UncertaintyParts } from '../prediction/decomposition.js'
import { noveltyOf } from '../prediction/novelty.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import type { Prediction, PredictionRequest } from './prediction.js'

/** What a prediction is put together of. */
export interface Pieces {
  readonly f: Float64Array
  readonly variance: Float64Array
  readonly examples: number
  readonly outputs: number
  readonly probabilities: Float64Array | undefined
  readonly covariance: Tensor | undefined
  /** Of a new observation, where it was worked out by draws. */
  readonly observed?: ObservationMoments
  /** Works out the decomposition; it costs more than the prediction, so it waits until somebody reads it. */
  readonly parts: (() => UncertaintyParts) | undefined
  readonly request: PredictionRequest
  readonly notes: readonly string[]
  readonly seeded: boolean
}

/** The prediction; its decomposition is worked out when it is first read. */
export function assemble(
  { f, variance, examples, outputs, probabilities, covariance, observed, parts, request, notes, seeded }: Pieces,
): Prediction {
  const rows = [examples, outputs]
  const { likelihood, sigmaNoise, seed } = request
  const ofObservation = observed ?? likelihood.observation?.moments(f, variance, examples, outputs)
  const targets = [examples, likelihood.observation === undefined ? outputs : likelihood.targetWidth(outputs)]
  let known: UncertaintyParts | undefined
  const read = (key: 'aleatoric' | 'epistemic', work: () => UncertaintyParts): Tensor => {
    known ??= work()
    return float64(likelihood.name === 'classification' ? [examples] : targets, known[key])
  }
  const prediction: Prediction = {
    mean: float64(rows, f),
    variance: float64(rows, variance),
    ...(probabilities === undefined ? {} : { probabilities: float64(rows, probabilities) }),
    ...(likelihood.name === 'regression'
      ? { predictiveVariance: float64(rows, variance.map((v, i) => v + sigmaNoise[i % outputs] ** 2)) }
      : {}),
    ...(ofObservation === undefined ? {} : observedFields(ofObservation, targets)),
    ...noveltyFields(variance, examples, request),
    ...(covariance === undefined ? {} : { covariance, ...withNoise(covariance, request) }),
    ...(seeded ? { seed } : {}),
    notes,
  }
  if (parts === undefined) return prediction
  return Object.defineProperties(prediction, {
    aleatoric: { enumerable: true, get: () => read('aleatoric', parts) },
    epistemic: { enumerable: true, get: () => read('epistemic', parts) },
  })
}

/** The covariance of a new observation, N x C x C. */
function withNoise({ shape, data }: Tensor,
  { noiseCovariance, joint }: PredictionRequest): Pick<Prediction, 'predictiveCovariance'> {
  if (noiseCovariance === undefined || joint) return {}
  return {
    predictiveCovariance: float64(shape,
      Float64Array.from(data, (value: number, i: number) => value + noiseCovariance[i % noiseCovariance.length])),
  }
}

/** Mean and variance of a new observation, N x K. */
function observedFields({ mean, aleatoric, epistemic }: ObservationMoments,
  shape: readonly number[]): Pick<Prediction, 'predictiveMean' | 'predictiveVariance'> {
  return { predictiveMean: float64(shape, mean),
    predictiveVariance: float64(shape, aleatoric.map((value, i) => value + epistemic[i])) }
}

/** The score of every row, and its p-value among the training rows' scores, N. */
function noveltyFields(variance: Float64Array, examples: number,
  { trainingVariances, likelihood, sigmaNoise }: PredictionRequest): Pick<Prediction, 'novelty' | 'noveltyScore'> {
  if (trainingVariances === undefined) return {}
  const scale = likelihood.name === 'regression' ? sigmaNoise : undefined
  const { score, pValue } = noveltyOf(variance, examples, trainingVariances, scale)
  return { novelty: float64([examples], pValue), noveltyScore: float64([examples], score) }
}
