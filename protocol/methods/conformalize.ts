/** @file The method `conformalize`: a posterior whose intervals and sets of classes are calibrated. */
import type { ConformalOptions } from '../../core/answer/posterior-options.js'
import { optionalBatch, plainValues } from './arguments.js'
import { keepPosterior } from './fits.js'
import { type Method, workOf } from './method.js'

/** By rows held out, or without them by training rows, each predicted without itself. */
export const conformalize: Method = async (params, context, state) => {
  const options: ConformalOptions = plainValues(params, ['score', 'randomised', 'seed'], state)
  const rows = optionalBatch(params, state)
  const posterior = state.objects.get('posterior', params)
  return keepPosterior(await posterior.conformalize(rows?.x, rows?.y, options, workOf(context)), params, context, state)
}
