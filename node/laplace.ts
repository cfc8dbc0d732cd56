/**
 * @file The package's functions for Node: the core's, with arrays of every usual kind and the engines of this machine.
 */
import type { Forecast } from '../core/budget/forecast.js'
import { DataError, OptionError } from '../core/errors/errors.js'
import { knownOptions, optionsObject } from '../core/errors/suggest.js'
import type { ForecastRequest } from '../core/fit/forecast.js'
import type { Graph } from '../core/graph/graph.js'
import type { Laplace } from '../core/laplace/laplace.js'
import { loadPosterior as coreLoad } from '../core/laplace/load-posterior.js'
import { type Metrics, metrics as coreMetrics } from '../core/metrics/index.js'
import type { Likelihood } from '../core/options/words.js'
import type { PartialFit } from '../core/sums/partial-fit.js'
import type { Batch } from '../core/tensor/batch.js'
import { type ArrayInput, type ExamplesInput, toExamples, toTensor } from './arrays.js'
import { coreWork, fitWork, toBatch, weightsOf } from './core-arguments.js'
import type { ArrayBatch, FitWork, LaplaceOptions, WorkOptions } from './options.js'
import { isOwnLikelihood, ownFit, type OwnLikelihood, type OwnOptions } from './own-likelihood.js'
import { Posterior } from './posterior.js'
import { attendedLaplace } from './runtime/attended.js'
import { nodeRuntime } from './runtime/runtime.js'

/** Batches as they may be given: `{ x, y, sampleWeight? }` or `[x, y]`, at once or one after another. */
export type Batches = AsyncIterable<ArrayBatch | readonly [ExamplesInput, ArrayInput]> | Iterable<
  ArrayBatch | readonly [ExamplesInput, ArrayInput]
>

/** A Laplace approximation of a network by likelihood L, to be fitted. */
export interface LaplaceFit<L extends Likelihood = Likelihood> {
  /** What was noticed of the network. */
  readonly notes: readonly string[]
  /**
   * Fits the posterior to rows and their labels, or to an (async) iterable of batches, and tunes the prior unless told
   * otherwise.
   * @param x inputs, one example a row: an array, or one an input
   * @param y classification: N class numbers; otherwise N x C
   * @throws ShapeError, DataError, ResourceError, NumericalError, CancelledError
   */
  fit(x: ExamplesInput, y: ArrayInput, work?: FitWork): Promise<Posterior<L>>
  fit(batches: Batches, y?: undefined, work?: WorkOptions): Promise<Posterior<L>>
  /**
   * Sums over some of the data, a chunk: partial fits add up (`mergePartialFits`).
   * @throws OptionError BAD_COMBINATION for structure 'lowrank', of which nothing adds up; as `fit`
   */
  fitPartial(x: ExamplesInput, y: ArrayInput, work?: FitWork): Promise<PartialFit>
  /**
   * The posterior of merged partial fits; with the training data once more it is tuned by `linearized`, without them by
   * `marglik`.
   * @throws StateError DIGEST_MISMATCH when the sums belong to another network or other options; as `fit`
   */
  fitMerged(partial: PartialFit, data?: ArrayBatch, work?: WorkOptions): Promise<Posterior<L>>
  /**
   * What a fit to so many rows, its predictions and its file will take: bytes beyond what the process holds, seconds.
   * @throws OptionError, ResourceError OUT_OF_MEMORY where one example alone is beyond `memoryLimit`
   */
  forecast(request: ForecastRequest): Forecast
}

/**
 * Prepares the Laplace approximation of a trained network's posterior.
 * @throws OptionError for unknown options and words, with the nearest right one; GraphError when the network cannot be
 * used
 * @example
 * import { laplace } from 'polylaplace'
 * const posterior = await laplace(network, { likelihood: 'regression' }).fit(x, y)
 * const { mean, variance } = await posterior.predict(x)
 */
export function laplace<L extends Likelihood>(network: Graph,
  options: LaplaceOptions & { readonly likelihood: L | OwnLikelihood }): LaplaceFit<L> {
  checkRead(network)
  const { validation, likelihood, ...rest } = optionsObject('laplace', options)
  const more = { ...rest, ...(validation === undefined ? {} : { validation: heldOut(validation) }) }
  return isOwnLikelihood(likelihood)
    ? withOwnLikelihood(network, { ...more, likelihood })
    : withCore(attendedLaplace(network, { ...more, likelihood }))
}

function withCore<L extends Likelihood>(core: Laplace): LaplaceFit<L> {
  return {
    notes: core.notes,
    fit: async (x: ExamplesInput | Batches, y?: ArrayInput, work: FitWork = {}) => {
      if (y !== undefined) {
        return new Posterior(await core.fit(toExamples(x, 'x'), toTensor(y, 'y'), fitWork('fit', work)))
      }
      return new Posterior(await core.fit(batchesOf(x), undefined, fitWork('fit', work)))
    },
    fitPartial: async (x, y, work = {}) =>
      core.fitPartial(toExamples(x, 'x'), toTensor(y, 'y'), fitWork('fitPartial', work)),
    forecast: request => core.forecast(request),
    fitMerged: async (partial, data, work = {}) =>
      new Posterior(
        await core.fitMerged(partial, data === undefined ? undefined : toBatch(data), coreWork('fitMerged', work)),
      ),
  }
}

/** What functions say of the rows is asked before they are fitted. */
function withOwnLikelihood<L extends Likelihood>(network: Graph, options: OwnOptions): LaplaceFit<L> {
  const { core, rows } = ownFit(network, options)
  const { notes, forecast } = withCore(core())
  const labelled = async (x: ExamplesInput, y: ArrayInput): Promise<Batch & { readonly roots: number }> =>
    rows(toExamples(x, 'x'), y)
  return {
    notes,
    forecast,
    fit: async (x: ExamplesInput | Batches, y?: ArrayInput, work: FitWork = {}) => {
      if (y === undefined) {
        throw new DataError('BAD_ARRAY', 'y is missing: a fit with a likelihood of your own takes x and y together.', {
          array: 'y',
        })
      }
      const { roots, ...batch } = await labelled(x as ExamplesInput, y)
      return new Posterior(await core(roots).fit(batch.x, batch.y, fitWork('fit', work)))
    },
    fitPartial: async (x, y, work = {}) => {
      const { roots, ...batch } = await labelled(x, y)
      return core(roots).fitPartial(batch.x, batch.y, fitWork('fitPartial', work))
    },
    fitMerged: async (partial, _data, work = {}) =>
      new Posterior(await core().fitMerged(partial, undefined, coreWork('fitMerged', work))),
  }
}

/** @throws OptionError BAD_OPTION for a network's file, path or promise in place of the network */
function checkRead(network: unknown): void {
  if (typeof network === 'object' && network !== null && 'nodes' in network && 'parameters' in network) return
  const source = typeof network === 'string' ? `'${network.slice(0, 100)}'` : 'path'
  throw new OptionError('BAD_OPTION',
    `laplace takes a network that has been read: laplace(await readNetwork(${source}), { likelihood: ... }).`, {
    option: 'network',
  })
}

/** Held-out rows as tensors; a share stays a number, and what is neither is left for the core to refuse. */
function heldOut(validation: ArrayBatch | number): Batch | number {
  return typeof validation === 'object' && validation !== null && 'x' in validation ? toBatch(validation) : validation
}

async function* batchesOf(batches: unknown): AsyncGenerator<Batch> {
  if (typeof batches !== 'object' || batches === null || 'data' in batches || ArrayBuffer.isView(batches) ||
    !(Symbol.iterator in batches || Symbol.asyncIterator in batches)) {
    throw new DataError('BAD_ARRAY', 'y is missing: fit takes x and y, or an iterable of batches { x, y }.', {
      array: 'y',
    })
  }
  for await (const batch of batches as Batches) {
    if (typeof batch === 'object' && batch !== null && 'x' in batch) {
      knownOptions('a batch', batch, ['x', 'y', 'sampleWeight'])
    }
    const [x, y, weights]: readonly unknown[] = Array.isArray(batch)
      ? batch as readonly unknown[]
      : typeof batch === 'object' && batch !== null && 'x' in batch
      ? [batch.x, batch.y, batch.sampleWeight]
      : []
    if (x === undefined || y === undefined || typeof x === 'number') {
      throw new DataError('BAD_ARRAY',
        'Every batch must be { x, y } or [x, y]. If these are rows of one array, give y too.', { array: 'batch' })
    }
    yield { x: toExamples(x, 'x'), y: toTensor(y, 'y'), ...weightsOf(weights as ArrayInput | undefined) }
  }
}

/**
 * The posterior that `save` wrote.
 * @throws UntrustedInputError when the bytes are not a posterior; OptionError when it was saved without its network and
 * none is given; StateError DIGEST_MISMATCH when another one is given
 */
export function loadPosterior(bytes: Uint8Array, options: { readonly network?: Graph | undefined } = {}): Posterior {
  return new Posterior(coreLoad(bytes, options, nodeRuntime))
}

/**
 * Scores predictions on held-out labels: nll, ece, brier, accuracy; regression: nll, rmse, crps, coverage, sharpness.
 * @param y labels as in `fit`
 * @param prediction `probabilities` N x C (binary: N x 1); of numbers `mean` N x C, and `variance` N x C without noise
 * @param sigmaNoise observation noise of regression
 * @throws OptionError, DataError, ShapeError
 */
export function metrics(likelihood: Likelihood, y: ArrayInput,
  prediction: { readonly mean?: ArrayInput, readonly variance?: ArrayInput, readonly probabilities?: ArrayInput },
  sigmaNoise = 1): Metrics {
  const { mean, variance, probabilities } = optionsObject('metrics', prediction)
  return coreMetrics(likelihood, toTensor(y, 'y'), {
    ...(mean === undefined ? {} : { mean: toTensor(mean, 'mean') }),
    ...(variance === undefined ? {} : { variance: toTensor(variance, 'variance') }),
    ...(probabilities === undefined ? {} : { probabilities: toTensor(probabilities, 'probabilities') }),
  }, sigmaNoise)
}
