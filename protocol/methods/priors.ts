/** @file Methods that make a posterior of another prior from one that was fitted. */
import type { PriorChanges, TuneOptions } from '../../core/laplace/posterior-options.js'
import { optionalBatch, optionsOf, plainValues, validationOf } from './arguments.js'
import { keepPosterior } from './fits.js'
import { type Method, workOf } from './method.js'

const TUNE_OPTIONS = ['tune', 'priorStructure', 'sigmaNoise'] as const
const PRIOR_PARAMETERS = ['priorPrecision', 'priorMean', 'sigmaNoise', 'temperature'] as const

export const tune: Method = async (params, context, bench) => {
  const posterior = bench.objects.get('posterior', params)
  const options: TuneOptions = optionsOf(params, 'tune', TUNE_OPTIONS, bench)
  const [data, validation] = [optionalBatch(params, bench), validationOf(params, bench)]
  const sources = { ...(data === undefined ? {} : { data }), ...(validation === undefined ? {} : { validation }) }
  return keepPosterior(await posterior.tune(options, sources, workOf(context)), params, context, bench)
}

export const withPrior: Method = (params, context, bench) => {
  const changes: PriorChanges = plainValues(params, PRIOR_PARAMETERS, bench)
  return keepPosterior(bench.objects.get('posterior', params).withPrior(changes), params, context, bench)
}
