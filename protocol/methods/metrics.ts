/** @file The method `metrics`: scores of predictions. */
import { oneOf } from '../../core/errors/suggest.js'
import { metrics as scores } from '../../core/metrics/index.js'
import { LIKELIHOODS } from '../../core/options/words.js'
import { toFloat64 } from '../../core/tensor/tensor.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'
import { optional, optionalNumber } from '../messages/parameters.js'
import { arrayParameter, optionalArray } from './arguments.js'
import type { Method, ThreadState } from './method.js'

const PARTS = ['mean', 'variance', 'probabilities', 'covariance'] as const

/** Scores predictions on held-out labels. */
export const metrics: Method = (params, _context, state) => {
  const likelihood = oneOf('likelihood', own(params, 'likelihood'), LIKELIHOODS)
  const prediction = Object.fromEntries(PARTS.flatMap(part => {
    const value = optionalArray(params, part, state)
    return value === undefined ? [] : [[part, value]]
  }))
  return { ...scores(likelihood, arrayParameter(params, 'y', state), prediction, noiseOf(params, state)) }
}

/** sigma of all outputs, or one an output, as a summary gives it. */
function noiseOf(params: DecodedMap, state: ThreadState): number | Float64Array | undefined {
  const value = optional(params, 'sigmaNoise')
  if (value === undefined || typeof value !== 'object') return optionalNumber(params, 'sigmaNoise')
  return toFloat64(arrayParameter(params, 'sigmaNoise', state))
}
