/** @file Methods that turn posteriors into bytes and back. */
import { loadPosterior } from '../../core/laplace/load-posterior.js'
import { labelsIn, withLabels } from '../../core/storage/posterior-labels.js'
import { own } from '../frames/decoded-map.js'
import { bytesParameter, flagParameter, optional, textsParameter } from '../messages/parameters.js'
import { keepPosterior } from './fits.js'
import type { Method } from './method.js'

/** A posterior as bytes, with its network unless told otherwise, and with the names of its classes where there are. */
export const save: Method = (params, _context, state) => {
  const data = state.objects.get('posterior', params).save({ network: flagParameter(params, 'network', true) })
  return { data: optional(params, 'labels') === undefined ? data : withLabels(data, textsParameter(params, 'labels')) }
}

/** The posterior of bytes that `save` made, or of a file of them. */
export const load: Method = (params, context, state) => {
  const data = own(params, 'data')
  const bytes = typeof data === 'string' ? state.files.read(data) : bytesParameter(params, 'data')
  const options = optional(params, 'model') === undefined ? {} : { network: state.objects.get('model', params).graph }
  const labels = labelsIn(bytes)
  return { ...keepPosterior(loadPosterior(bytes, options, state.runtime), params, context, state),
    ...(labels === undefined ? {} : { labels: [...labels] }) }
}
