/** @file Methods that make a posterior of another prior from one that was fitted. */
import type { TuneOptions } from '../../core/answer/posterior-options.js'
import type { PriorChanges } from '../../core/options/hyperparameters.js'
import { optionalBatch, optionsOf, plainValues, validationOf } from './arguments.js'
import { keepPosterior } from './fits.js'
import { type Method, workOf } from './method.js'

const TUNE_OPTIONS = ['tune', 'priorStructure', 'sigmaNoise'] as const
const PRIOR_PARAMETERS = ['priorPrecision', 'priorMean', 'sigmaNoise', 'temperature'] as const

/** The posterior with a prior that is tuned. */
export const tune: Method = async (params, context, state) => {
  const posterior = state.objects.get('posterior', params)
  const options: TuneOptions = optionsOf(params, 'tune', TUNE_OPTIONS, state)
  const [data, validation] = [optionalBatch(params, state), validationOf(params, state)]
  const sources = { ...(data === undefined ? {} : { data }), ...(validation === undefined ? {} : { validation }) }
  return keepPosterior(await posterior.tune(options, sources, workOf(context)), params, context, state)
}

/** The posterior with a prior that is given. */
export const withPrior: Method = (params, context, state) => {
  const changes: PriorChanges = plainValues(params, PRIOR_PARAMETERS, state)
  return keepPosterior(state.objects.get('posterior', params).withPrior(changes), params, context, state)
}
