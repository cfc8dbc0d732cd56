/** @file The method `metrics`: scores of predictions. */
import { oneOf } from '../../core/errors/suggest.js'
import { metrics as scores } from '../../core/metrics/index.js'
import { LIKELIHOODS } from '../../core/options/words.js'
import { own } from '../frames/decoded-map.js'
import { optionalNumber } from '../messages/parameters.js'
import { arrayParameter, optionalArray } from './arguments.js'
import type { Method } from './method.js'

const PARTS = ['mean', 'variance', 'probabilities', 'covariance'] as const

/** Scores predictions on held-out labels. */
export const metrics: Method = (params, _context, state) => {
  const likelihood = oneOf('likelihood', own(params, 'likelihood'), LIKELIHOODS)
  const prediction = Object.fromEntries(PARTS.flatMap(part => {
    const value = optionalArray(params, part, state)
    return value === undefined ? [] : [[part, value]]
  }))
  return { ...scores(likelihood, arrayParameter(params, 'y', state), prediction, optionalNumber(params, 'sigmaNoise')) }
}
