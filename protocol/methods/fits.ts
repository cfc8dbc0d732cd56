/** @file Methods that fit: at once, batch by batch, and in parts that are merged. */
import { knownOptions, oneOf } from '../../core/errors/suggest.js'
import type { FitWork } from '../../core/fit/fit-work.js'
import type { ForecastRequest } from '../../core/fit/forecast.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { type Laplace, laplace } from '../../core/laplace/laplace.js'
import { LAPLACE_OPTIONS, type LaplaceOptions } from '../../core/options/laplace-options.js'
import { readPartialFit, writePartialFit } from '../../core/storage/partial-fit-file.js'
import { chunkDigest } from '../../core/sums/chunks.js'
import { mergePartials as merge, type PartialFit, REPEATS, subtractPartialFit } from '../../core/sums/partial-fit.js'
import { type DecodedMap, isMap, own } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import { bytesParameter, flagParameter, listParameter, mapParameter, optional, optionalMap, optionalText,
  textParameter } from '../messages/parameters.js'
import { arrayParameter, batchOf, heldOutOf, optionalArray, optionalBatch, optionsOf,
  plainValues } from './arguments.js'
import type { MethodContext } from './method-set.js'
import { type Method, nameFor, type ThreadState, workOf } from './method.js'
import { modelFrom } from './networks.js'
import { briefSummary, summaryToWire } from './posterior-summary.js'
import { valuesOf } from './posterior-values.js'

/** The options of a fit on the wire; validation data travel beside them. */
const FIT_OPTIONS = LAPLACE_OPTIONS.filter(option => option !== 'validation')

/** What a fit to so many rows will take, before anything is computed. */
export const forecast: Method = async (params, _context, state) => {
  const counts = plainValues(params, ['rows', 'batch', 'predict', 'samples'], state) as unknown as ForecastRequest
  const { bytes, seconds, stages } = (await approximation(params, 'forecast', state)).forecast(counts)
  return { bytes, seconds, stages: stages.map(stage => ({ ...stage })) }
}

/** The network of a request, by its handle or as what `readNetwork` takes, with its options. */
async function approximation(params: DecodedMap, method: string, state: ThreadState): Promise<Laplace> {
  const network = optionalMap(params, 'network')
  const { graph } = network === undefined ? state.objects.get('model', params) : await modelFrom(network, state)
  const validation = heldOutOf(params, state)
  const options = { ...optionsOf(params, method, FIT_OPTIONS, state), ...subnetworkOf(params, state),
    ...covarianceOf(params, state), ...(validation === undefined ? {} : { validation }) }
  // The core checks every word and number, as it does for JavaScript without types.
  return laplace(graph, options as unknown as LaplaceOptions, state.runtime)
}

/** A subnetwork that is chosen by a score: `{count, by, seed?}`, where the score may be an array. */
function subnetworkOf(params: DecodedMap, state: ThreadState): { readonly subnetwork?: unknown } {
  const choice = optional(mapParameter(params, 'options'), 'subnetwork')
  if (!isMap(choice) || own(choice, 'count') === undefined) return {}
  knownOptions('subnetwork', choice, ['count', 'by', 'seed'])
  return { subnetwork: plainValues(choice, ['count', 'by', 'seed'], state) }
}

/** Of noises that are correlated the rows of their covariance. */
function covarianceOf(params: DecodedMap, state: ThreadState): { readonly sigmaNoise?: readonly Float64Array[] } {
  const options = mapParameter(params, 'options')
  if (!isMap(optional(options, 'sigmaNoise'))) return {}
  const { shape, data } = arrayParameter(options, 'sigmaNoise', state)
  if (shape.length !== 2) return {}
  const [rows, columns] = shape
  return {
    sigmaNoise: Array.from({ length: rows },
      (_, c) => Float64Array.from({ length: columns }, (_, d) => data[c * columns + d])),
  }
}

/** How often each row counts: the parameter `sampleWeight`. */
function weightsOf(params: DecodedMap, state: ThreadState): Pick<FitWork, 'sampleWeight'> {
  const weights = optionalArray(params, 'sampleWeight', state)
  return weights === undefined ? {} : { sampleWeight: weights.data }
}

/**
 * Keeps a posterior and answers with its handle and its summary (with `brief`, what takes no computing), and with the
 * `values` that are named, as `get` gives them: each message takes longer than a small fit.
 */
export function keepPosterior(posterior: LaplacePosterior, params: DecodedMap, context: MethodContext,
  { objects }: ThreadState): WireMap {
  const handle = nameFor(context)
  const summary = flagParameter(params, 'brief', false) ? briefSummary(posterior) : summaryToWire(posterior.summary())
  const values = optional(params, 'values') === undefined ? undefined : valuesOf(posterior, params, 'values')
  objects.add('posterior', handle, posterior)
  return { handle, summary, values }
}

/** Fits a posterior to all of the data at once. */
export const fit: Method = async (params, context, state) => {
  const { x, y } = batchOf(params, state)
  const prepared = await approximation(params, 'fit', state)
  return keepPosterior(await prepared.fit(x, y, { ...workOf(context), ...weightsOf(params, state) }), params, context,
    state)
}

/** Begins a fit whose data come in batches. */
export const fitBegin: Method = async (params, context, state) => {
  const handle = nameFor(context)
  const prepared = await approximation(params, 'fitBegin', state)
  state.objects.add('fit', handle, prepared.stream())
  return { handle }
}

/** Adds a batch to a streamed fit. A batch that fails ends the fit, which may hold a part of it. */
export const fitBatch: Method = async (params, context, state) => {
  const stream = state.objects.get('fit', params)
  try {
    const { x, y } = batchOf(params, state)
    return { examples: await stream.add(x, y, { ...workOf(context), ...weightsOf(params, state) }) }
  } catch (error) {
    endFit(params, context, state)
    throw error
  }
}

/** Makes the posterior of a streamed fit, which ends, also when that fails. */
export const fitEnd: Method = async (params, context, state) => {
  const stream = state.objects.get('fit', params)
  try {
    return keepPosterior(await stream.finish(workOf(context)), params, context, state)
  } finally {
    endFit(params, context, state)
  }
}

function endFit(params: DecodedMap, context: MethodContext, { objects }: ThreadState): void {
  const handle = textParameter(params, 'fit')
  objects.delete(handle)
  context.drop(handle)
}

/** Sums over a part of the data, as bytes that any server can merge. */
export const fitPartial: Method = async (params, context, state) => {
  const { x, y } = batchOf(params, state)
  const prepared = await approximation(params, 'fitPartial', state)
  const work = { ...workOf(context), ...weightsOf(params, state), chunk: optionalText(params, 'chunk') }
  return partialToWire(await prepared.fitPartial(x, y, work))
}

/** The digest that the partial fit of these rows will carry. */
export const digestChunk: Method = (params, _context, state) => {
  const { x, y } = batchOf(params, state)
  return { chunk: chunkDigest(x, y, optionalText(params, 'chunk')) }
}

/** Adds partial fits, in an order of their own: that in which they are given changes nothing. */
export const mergePartials: Method = params => {
  const partials = listParameter(params, 'partials').map((_, index, list) =>
    readPartialFit(bytesParameter({ partials: list[index] }, 'partials'))
  )
  return partialToWire(merge(partials, oneOf('repeats', optional(params, 'repeats') ?? 'refuse', REPEATS)))
}

/** Takes a part away from a sum of partial fits. */
export const subtractPartial: Method = params =>
  partialToWire(
    subtractPartialFit(readPartialFit(bytesParameter(params, 'partial')),
      readPartialFit(bytesParameter(params, 'part'))),
  )

function changedRows(change: 'addRows' | 'forget'): Method {
  return async (params, context, state) => {
    const { x, y } = batchOf(params, state)
    const posterior = state.objects.get('posterior', params)
    const work = { ...workOf(context), ...weightsOf(params, state) }
    return keepPosterior(await posterior[change](x, y, work), params, context, state)
  }
}

/** The posterior of its data and more rows. */
export const addRows: Method = changedRows('addRows')

/** The posterior of its data without some rows. */
export const forget: Method = changedRows('forget')

function partialToWire(partial: PartialFit): WireMap {
  return { partial: writePartialFit(partial), examples: partial.examples,
    chunks: partial.chunks === undefined ? null : partial.chunks }
}

/** Makes the posterior of merged partial fits. */
export const fitMerged: Method = async (params, context, state) => {
  const partial = readPartialFit(bytesParameter(params, 'partial'))
  const prepared = await approximation(params, 'fitMerged', state)
  return keepPosterior(await prepared.fitMerged(partial, optionalBatch(params, state), workOf(context)), params,
    context, state)
}
