/** @file The entry: a network and options become a fit, and a fit becomes a posterior. */
import type { Forecast } from '../budget/forecast.js'
import type { WorkOptions } from '../budget/progress.js'
import { OptionError } from '../errors/errors.js'
import { accumulationFor } from '../fit/accumulation-for.js'
import { fitMerged } from '../fit/fit-merged.js'
import { type FitTask, partialKey, taskFor } from '../fit/fit-task.js'
import type { FitWork } from '../fit/fit-work.js'
import { type ForecastRequest, forecastTask } from '../fit/forecast.js'
import { type RewardTask, rewardTask } from '../fit/reward-fit.js'
import { taskForRows } from '../fit/task-for-rows.js'
import { demandGraph, type Graph } from '../graph/graph.js'
import { selectParameters } from '../network/select-parameters.js'
import type { LaplaceOptions } from '../options/laplace-options.js'
import { type ResolvedOptions, resolveOptions } from '../options/resolved-options.js'
import type { Runtime } from '../parallel/runtime.js'
import { chunkDigest } from '../sums/chunks.js'
import { columnsOf } from '../sums/input-columns.js'
import type { PartialFit } from '../sums/partial-fit.js'
import type { Batch } from '../tensor/batch.js'
import { demandRows, exampleCount, type Examples } from '../tensor/examples.js'
import { checkWeights, countWeighted, withWeighted } from '../tensor/sample-weights.js'
import type { Tensor } from '../tensor/tensor.js'
import { fitAll, type FitStream, startStream } from './fit-stream.js'
import { LaplacePosterior } from './laplace-posterior.js'
import { warned } from './warned.js'

/** How a partial fit is worked on. */
export interface ChunkOptions extends WorkOptions {
  /** Tells this chunk of the data from another one with equal rows. */
  readonly chunk?: string | undefined
}

/** A Laplace approximation of a network, to be fitted. */
export interface Laplace {
  /** What was noticed of the network. */
  readonly notes: readonly string[]
  /**
   * Fits the posterior to N rows, or to batches of them, and tunes the prior unless told otherwise.
   * @param x inputs, one example a row: an array, or one an input
   * @param y classification: N class numbers; otherwise N x C
   * @throws ShapeError, DataError, ResourceError, NumericalError, CancelledError
   */
  fit(x: Examples, y: Tensor, work?: FitWork): Promise<LaplacePosterior>
  fit(batches: AsyncIterable<Batch> | Iterable<Batch>, y?: undefined, work?: WorkOptions): Promise<LaplacePosterior>
  /**
   * Sums over some of the data, a chunk: partial fits add up (`mergePartialFits`).
   * @param work with `chunk` a name that tells it from another chunk of equal rows
   * @throws OptionError BAD_COMBINATION for structure 'lowrank', of which nothing adds up
   */
  fitPartial(x: Examples, y: Tensor, work?: ChunkOptions & FitWork): Promise<PartialFit>
  /**
   * The posterior of sums over all the data.
   * @param data the training data once more, for tuning by `linearized`; without them the prior is tuned by `marglik`
   * @throws StateError DIGEST_MISMATCH when the sums belong to another network or other options
   */
  fitMerged(partial: PartialFit, data?: Batch, work?: WorkOptions): Promise<LaplacePosterior>
  /** Starts a fit to data that arrive piece by piece. */
  stream(): FitStream
  /**
   * What a fit to so many rows, its predictions and its file will take: bytes beyond what the process holds, seconds.
   * @throws OptionError, ResourceError OUT_OF_MEMORY where one example alone is beyond `memoryLimit`
   */
  forecast(request: ForecastRequest): Forecast
}

/**
 * Prepares the Laplace approximation of a network's posterior.
 * @throws OptionError for unknown options and words; GraphError when the network cannot be used
 * @example
 * const posterior = await laplace(network, { likelihood: 'classification' }).fit(x, y)
 * const { probabilities } = await posterior.predict(x)
 */
export function laplace(graph: Graph, options: LaplaceOptions, runtime: Runtime = {}): Laplace {
  demandGraph('The network', graph)
  const resolved = resolveOptions(options)
  const chosen = selectParameters(graph, resolved)
  return resolved.likelihood === 'reward_modeling'
    ? ofRewards(rewardTask(chosen, options, resolved, runtime))
    : ofTask(taskFor(chosen, resolved, runtime))
}

/** Pairs in, the posterior of the network for single rows out. */
function ofRewards({ task, pairs, single }: RewardTask): Laplace {
  const own = ofTask(task)
  const rewards = async (fitted: Promise<LaplacePosterior>): Promise<LaplacePosterior> =>
    new LaplacePosterior(single((await fitted).state))
  return {
    ...own,
    fit: (x: Examples | AsyncIterable<Batch> | Iterable<Batch>, y?: Tensor, work: FitWork = {}) =>
      rewards(y === undefined
        ? own.fit(eachOf(x as Iterable<Batch>, pairs), undefined, work)
        : own.fit(pairs(x as Examples), y, work)),
    fitPartial: (x, y, work) => own.fitPartial(pairs(x), y, work),
    fitMerged: (partial, _data, work) => rewards(own.fitMerged(partial, undefined, work)),
    stream: () => {
      const stream = own.stream()
      return { add: (x, y, work) => stream.add(pairs(x), y, work), finish: work => rewards(stream.finish(work)) }
    },
  }
}

async function* eachOf(batches: AsyncIterable<Batch> | Iterable<Batch>,
  pairs: RewardTask['pairs']): AsyncGenerator<Batch> {
  for await (const batch of batches) yield { ...batch, x: pairs(batch.x) }
}

function ofTask(task: FitTask): Laplace {
  const resolved = task.options
  return {
    notes: task.network.notes,
    fit: (x: Examples | AsyncIterable<Batch> | Iterable<Batch>, y?: Tensor, work: FitWork = {}) =>
      fitAll(task, x, y, work),
    fitPartial: async (x, y, { sampleWeight, ...work } = {}) => {
      refuseLowRank(resolved)
      demandRows(x, y)
      const notes: string[] = []
      if (exampleCount(x) === 0 && exampleCount(y) === 0) {
        return { key: partialKey(task), ...await accumulationFor(task, false, notes).sums(), chunks: new Uint8Array(0) }
      }
      const settled = await taskForRows(task, x, y, work)
      const accumulation = accumulationFor(settled, false, notes)
      const weights = checkWeights(sampleWeight, exampleCount(x))
      await accumulation.add(x, y, work, weights)
      return { key: partialKey(settled), ...await accumulation.sums(), ...withWeighted(countWeighted(weights)),
        chunks: chunkDigest(x, y, work.chunk), columns: columnsOf(settled.graph.inputs) }
    },
    fitMerged: async (partial, data, work = {}) => {
      if (resolved.tuneCovariance) refuseLowRank(resolved)
      const state = await fitMerged(task, partial, data, work)
      return new LaplacePosterior(warned({ ...state, weighted: partial.weighted }))
    },
    stream: () => startStream(task),
    forecast: request => forecastTask(task, request),
  }
}

/**
 * Mode and prior of the linear model need all rows: of its parts nothing adds up.
 * @throws OptionError BAD_COMBINATION
 */
function refuseLowRank({ linearModel, factored, tuneCovariance }: ResolvedOptions): void {
  if (tuneCovariance) {
    throw new OptionError('BAD_COMBINATION',
      "A noise covariance that is tuned (sigmaNoise 'full') needs all rows at once: fit them together, or give the "
        + 'covariance.', { option: 'sigmaNoise' })
  }
  if (factored !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      `Partial fits of structure '${factored.of}' do not add up: its rows come from all of the data together. Fit them `
        + "at once, or add up structure 'kron', 'diag' or 'full'.", { option: 'structure', value: factored.of })
  }
  if (linearModel !== 'required') return
  throw new OptionError('BAD_COMBINATION',
    "Partial fits of structure 'lowrank' do not add up: mode and prior of the linear model need all rows together. "
      + "Fit them all at once, in batches if they are many, or add up structure 'kron', 'diag' or 'full'.", {
    option: 'structure',
    value: 'lowrank',
  })
}
