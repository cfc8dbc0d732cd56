/**
 * @file A worker computes batches: in the calling thread, or in a thread of its own. All workers run this same code.
 *
 * A fit's batches are given to shards in turn, each shard adds its own sums, and the shards are merged in their order
 * at the end. How many threads share the shards therefore changes nothing in the result, to the last bit.
 */
import { type CancelSignal, throwIfCancelled } from '../budget/progress.js'
import { chosenEngine, type EngineProvider } from '../engine/chosen-engine.js'
import { InternalError } from '../errors/errors.js'
import { watched } from '../kernels/interruption.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { LikelihoodForm } from '../likelihood/registry.js'
import { type KeptRows, keptRows, type RowRequest } from '../linear-model/row-products.js'
import type { Inputs } from '../network/input-rows.js'
import type { Network } from '../network/network.js'
import type { EngineName, Likelihood, Subset } from '../options/words.js'
import { decomposeFactor, type FactorEigen, type SymmetricFactor } from '../posterior/factor-eigen.js'
import type { PosteriorParts } from '../posterior/posterior-parts.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import type { Precision } from '../tensor/tensor.js'
import { type BatchGaussian, batchGaussian, type GaussianRequest } from './batch-gaussian.js'
import { type BatchSums, createBatchSums, type FitKind, type FitSums, type LabelledBatch } from './batch-sums.js'

/** What a worker is made from: plain data, so that it can be sent to a thread. */
export interface WorkerSetup {
  readonly network: Network
  readonly subset: Subset
  readonly precision: Precision
  readonly likelihood: Likelihood
  readonly form: LikelihoodForm
  readonly engine: EngineName
}

/** How a decomposition is watched. */
export interface DecompositionWork {
  readonly signal?: CancelSignal
  /** Told how much is done, 0 to 1. */
  readonly onShare?: (share: number) => void
}

/** What computes batches. */
export interface Worker {
  /** Adds a batch to a shard's sums; returns its features when they are kept. */
  add(kind: FitKind, shard: number, batch: LabelledBatch): Promise<RealArray | undefined>
  /** Sets a shard's sums. */
  adopt(shard: number, sums: FitSums): Promise<void>
  /** Takes a shard's sums away. */
  collect(shard: number): Promise<FitSums | undefined>
  /** Keeps rows, in the shapes of the network's inputs, under a number. */
  keepRows(part: number, x: Inputs, examples: number): Promise<void>
  /** Begins a product with the Jacobian of kept rows. */
  beginProduct(part: number, request: RowRequest): Promise<void>
  /** Takes its next rows; returns how many were taken. */
  advanceProduct(part: number): Promise<number>
  finishProduct(part: number): Promise<Float64Array>
  dropRows(part: number): Promise<void>
  /** Outputs of a batch and their variances under a posterior over all weights. */
  gaussian(parts: PosteriorParts, x: Inputs, request: GaussianRequest): Promise<BatchGaussian>
  /** The eigen-decomposition of a Kronecker factor. @throws CancelledError */
  decompose(factor: SymmetricFactor, work: DecompositionWork): Promise<FactorEigen>
}

/** A worker with programs of its own. */
export interface DisposableWorker extends Worker {
  /** Releases what its programs hold outside of the garbage-collected heap. */
  dispose(): void
}

/**
 * The worker of a setup, for threads that are given nothing else. Each computes alone: there are as many as there are
 * processors to use.
 */
export function workerFrom({ network, subset, precision, likelihood, form, engine: name }: WorkerSetup,
  provider: EngineProvider): DisposableWorker {
  const engine = chosenEngine({ name, threads: 1 }, precision, provider)
  // A failure is thrown by the first program.
  engine.announceWork(Infinity).catch(() => undefined)
  const evaluator = createEvaluator(network, subset, engine, precision)
  return { ...createWorker(evaluator, likelihood, form), dispose: evaluator.dispose }
}

/** A worker that computes with an evaluator. */
export function createWorker(evaluator: Evaluator, likelihood: Likelihood, form: LikelihoodForm = {}): Worker {
  return {
    ...shardSums(createBatchSums(evaluator, likelihood, form)),
    ...keptProducts(evaluator),
    decompose: async (factor, { signal, onShare }) =>
      watched(share => {
        throwIfCancelled(signal)
        if (share >= 0) onShare?.(share)
      }, () => decomposeFactor(factor)),
    gaussian: (parts, x, request) => batchGaussian(evaluator, parts, x, request),
  }
}

/** The sums of each shard. */
function shardSums(batches: BatchSums): Pick<Worker, 'add' | 'adopt' | 'collect'> {
  const shards = new Map<number, FitSums>()
  /** Shards whose factors are sums of lower triangles. */
  const unfinished = new Set<number>()
  const turns = new Map<number, Promise<unknown>>()
  const addNow: Worker['add'] = async (kind, shard, batch) => {
    const { sums, features, lowerTriangles } = await batches.add(kind, shards.get(shard), batch)
    shards.set(shard, sums)
    if (lowerTriangles) unfinished.add(shard)
    return features
  }
  return {
    add(kind, shard, batch) {
      // One batch of a shard after another: an engine may compute two at once, and both would start from the same
      // sums, so that one of them would be missing.
      const added = (turns.get(shard) ?? Promise.resolve()).then(() => addNow(kind, shard, batch))
      turns.set(shard, added.catch(() => undefined))
      return added
    },
    adopt: async (shard, sums) => {
      shards.set(shard, sums)
    },
    async collect(shard) {
      const sums = shards.get(shard)
      shards.delete(shard)
      turns.delete(shard)
      return unfinished.delete(shard) && sums !== undefined ? batches.completed(sums) : sums
    },
  }
}

/** Products with the Jacobians of rows that are kept under numbers. */
function keptProducts(
  evaluator: Evaluator,
): Pick<Worker, 'keepRows' | 'beginProduct' | 'advanceProduct' | 'finishProduct' | 'dropRows'> {
  const kept = new Map<number, KeptRows>()
  const rowsOf = (part: number): KeptRows => {
    const rows = kept.get(part)
    if (rows === undefined) throw new InternalError(`No rows are kept under ${part}.`)
    return rows
  }
  return {
    keepRows: async (part, x, examples) => {
      kept.set(part, keptRows(evaluator, x, examples))
    },
    beginProduct: async (part, request) => {
      rowsOf(part).begin(request)
    },
    advanceProduct: async part => rowsOf(part).advance(),
    finishProduct: async part => rowsOf(part).finish(),
    dropRows: async part => {
      kept.get(part)?.dispose()
      kept.delete(part)
    },
  }
}
