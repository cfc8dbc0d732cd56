/** @file Predictions term by term, brought to the layout of a network's outputs. */
import { inOwnLayout, matrixInOwnOrder, type OutputLayout, termsOf } from '../likelihood/output-layout.js'
import type { Likelihood } from '../options/words.js'
import { float64, reshape, type Tensor, toFloat64 } from '../tensor/tensor.js'
import type { Prediction } from './prediction.js'

type Field = keyof Prediction

/** Fields with a number an output, which lie as the outputs do. */
const OF_OUTPUTS: ReadonlySet<Field> = new Set(['mean', 'variance', 'probabilities', 'predictiveMean',
  'predictiveVariance', 'lower', 'upper', 'quantiles', 'aleatoric', 'epistemic', 'sets'])

/**
 * The prediction with positions where the network has them; what waits until it is read goes on waiting. Numbers of a
 * position are N x positions, numbers of its outputs lie as the network's outputs.
 */
export function laidOut(prediction: Prediction, layout: OutputLayout, likelihood: Likelihood,
  examples: number): Prediction {
  if (layout.positions.length === 0) return prediction
  const place = (field: Field, value: unknown): unknown =>
    isTensor(value) ? placed(field, value, layout, likelihood, examples) : value
  const descriptors = Object.fromEntries(
    Object.entries(Object.getOwnPropertyDescriptors(prediction)).map((
      [field, { get, value }],
    ) => [field, get === undefined
      ? { enumerable: true, value: place(field as Field, value) }
      : { enumerable: true, get: () => place(field as Field, get.call(prediction)) }]
    ),
  )
  return Object.defineProperties({ mean: prediction.mean, variance: prediction.variance, notes: prediction.notes },
    descriptors)
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'data' in value
}

function placed(field: Field, value: Tensor, layout: OutputLayout, likelihood: Likelihood, examples: number): Tensor {
  const { positions, outputs } = layout
  const perTerm = value.data.length / Math.max(1, examples * termsOf(layout))
  if (field === 'covariance' || field === 'predictiveCovariance') {
    return value.shape.length === 3
      ? reshape(value, [examples, ...positions, outputs, outputs])
      : float64(value.shape, matrixInOwnOrder(layout, toFloat64(value), examples))
  }
  const ofParts = (field === 'aleatoric' || field === 'epistemic') && likelihood === 'classification'
  // Sets of one logit have two classes.
  if (!OF_OUTPUTS.has(field) || ofParts || (field === 'sets' && perTerm !== outputs)) {
    return reshape(value, [examples, ...positions, ...(perTerm > 1 ? [perTerm] : [])])
  }
  return inOwnLayout(layout, value, [examples], field === 'quantiles' ? [value.shape[value.shape.length - 1]] : [])
}
