/** @file Methods that turn posteriors into bytes and back. */
import { loadPosterior } from '../../core/laplace/load-posterior.js'
import { own } from '../frames/decoded-map.js'
import { bytesParameter, flagParameter, optional } from '../messages/parameters.js'
import { keepPosterior } from './fits.js'
import type { Method } from './method.js'

export const save: Method = (params, _context, bench) => ({
  data: bench.objects.get('posterior', params).save({ network: flagParameter(params, 'network', true) }),
})

export const load: Method = (params, context, bench) => {
  const data = own(params, 'data')
  const bytes = typeof data === 'string' ? bench.files.read(data) : bytesParameter(params, 'data')
  const options = optional(params, 'model') === undefined ? {} : { network: bench.objects.get('model', params).graph }
  return keepPosterior(loadPosterior(bytes, options, bench.runtime), params, context, bench)
}
