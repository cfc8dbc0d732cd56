/** @file Methods that make mixtures of posteriors. */
import type { ConformalOptions } from '../../core/answer/posterior-options.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../core/laplace/load-posterior.js'
import { Mixture } from '../../core/laplace/posterior-mixture.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import { bytesParameter, listParameter, optional } from '../messages/parameters.js'
import { batchOf, optionalArray, plainValues } from './arguments.js'
import type { MethodContext } from './method-set.js'
import { type Method, nameFor, type ThreadState, workOf } from './method.js'

/** Saved posteriors that predict as one. They come as bytes, because those of a connection may live in any thread. */
export const mix: Method = (params, context, state) => {
  const members = listParameter(params, 'members').map(member =>
    loadPosterior(bytesParameter({ members: member } as DecodedMap, 'members'), {}, state.runtime)
  )
  return kept(new Mixture(members, optionalArray(params, 'weights', state)?.data), context, state)
}

/** The mixture with its intervals or sets of classes calibrated by rows held out. */
export const conformalizeMixture: Method = async (params, context, state) => {
  const options: ConformalOptions = plainValues(params, ['score', 'randomised', 'seed'], state)
  const { x, y } = batchOf(params, state)
  return kept(await state.objects.get('mixture', params).conformalize(x, y, options, workOf(context)), context, state)
}

/** What predicts: the posterior of a request, or its mixture. @throws ProtocolError UNKNOWN_HANDLE */
export function predictorOf(params: DecodedMap, { objects }: ThreadState): LaplacePosterior | Mixture {
  return optional(params, 'mixture') === undefined ? objects.get('posterior', params) : objects.get('mixture', params)
}

function kept(mixture: Mixture, context: MethodContext, { objects }: ThreadState): WireMap {
  const handle = nameFor(context)
  objects.add('mixture', handle, mixture)
  return { handle, conformal: mixture.conformal === undefined ? null : { ...mixture.conformal } }
}
