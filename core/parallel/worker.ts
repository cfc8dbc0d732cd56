/**
 * @file A worker computes batches: in the calling thread, or in a thread of its own. All workers run this same code.
 *
 * A fit's batches are given to shards in turn, each shard adds its own sums, and the shards are merged in their order
 * at the end. How many threads share the shards therefore changes nothing in the result, to the last bit.
 */
import { accumulateCurvature, zeroCurvature } from '../curvature/accumulate.js'
import type { Curvature } from '../curvature/curvature.js'
import { completed, countRows, gramsSuffice, operatorSums } from '../curvature/kron-sums.js'
import { accumulateLastLayer } from '../curvature/last-layer.js'
import { chosenEngine, type EngineProvider } from '../engine/chosen-engine.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { addAgreement, type Agreement, zeroAgreement } from '../likelihood/agreement.js'
import { likelihoodModel } from '../likelihood/registry.js'
import type { Network } from '../network/network.js'
import type { EngineName, KfacApproximation, Likelihood, Subset, SumStructure } from '../options/words.js'
import { outputMoments, type PosteriorParts } from '../posterior/posterior-parts.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import type { Precision, Tensor } from '../tensor/tensor.js'

/** The sums of a fit. */
export interface FitSums {
  readonly examples: number
  readonly loss: number
  readonly curvature: Curvature
  /** How the network agrees with the rows; undefined for partial fits of version 0.1.0. */
  readonly agreement: Agreement | undefined
}

/** What a fit sums up. */
export interface FitKind {
  readonly structure: SumStructure
  readonly kfacApprox: KfacApproximation
  readonly keepFeatures: boolean
}

/** What a worker is made from: plain data, so that it can be sent to a thread. */
export interface WorkerSetup {
  readonly network: Network
  readonly subset: Subset
  readonly precision: Precision
  readonly likelihood: Likelihood
  /** Of a regression whose outputs have noises of their own. */
  readonly outputNoise: Float64Array | undefined
  readonly engine: EngineName
}

/** Outputs f (N x C) of a batch and their variances (N x C) or covariances (N x C x C). */
export interface BatchGaussian {
  readonly f: RealArray
  readonly variance: Float64Array
  /** f_lin - f of a linear model. */
  readonly change?: Float64Array
}

/** A labelled batch: inputs of the network's shape, labels as the likelihood takes them. */
export interface LabelledBatch {
  readonly x: Tensor
  readonly labels: Float64Array
  readonly examples: number
}

/** What computes batches. */
export interface Worker {
  /** Adds a batch to a shard's sums; returns its features when they are kept. */
  add(kind: FitKind, shard: number, batch: LabelledBatch): Promise<RealArray | undefined>
  /** Sets a shard's sums. */
  adopt(shard: number, sums: FitSums): Promise<void>
  /** Takes a shard's sums away. */
  collect(shard: number): Promise<FitSums | undefined>
  /** Outputs of a batch and their variances under a posterior over all weights. */
  gaussian(parts: PosteriorParts, x: Tensor, kind: VarianceKind): Promise<BatchGaussian>
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
export function workerFrom({ network, subset, precision, likelihood, outputNoise, engine: name }: WorkerSetup,
  provider: EngineProvider): DisposableWorker {
  const engine = chosenEngine({ name, threads: 1 }, precision, provider)
  engine.announceWork(Infinity)
  const evaluator = createEvaluator(network, subset, engine, precision)
  return { ...createWorker(evaluator, likelihood, outputNoise), dispose: evaluator.dispose }
}

/** A worker that computes with an evaluator. */
export function createWorker(evaluator: Evaluator, likelihoodName: Likelihood, outputNoise?: Float64Array): Worker {
  const { slots, linears, subset, network } = evaluator
  const { outputs } = network
  const likelihood = likelihoodModel(likelihoodName, outputNoise)
  const shards = new Map<number, FitSums>()
  /** Shards whose factors are sums of lower triangles. */
  const unfinished = new Set<number>()
  const seeds = { count: likelihood.seedCount(outputs),
    from: (f: RealArray, examples: number) => likelihood.hessianSeeds(f, examples, outputs) }
  const turns = new Map<number, Promise<unknown>>()
  const addNow: Worker['add'] = async ({ structure, kfacApprox, keepFeatures }, shard, { x, labels, examples }) => {
    const sums = shards.get(shard) ??
      { examples: 0, loss: 0, curvature: zeroCurvature(structure, slots, linears),
        agreement: zeroAgreement(likelihoodName, outputs) }
    const put = (curvature: Curvature, f: RealArray): void => {
      shards.set(shard, { curvature, examples: sums.examples + examples,
        loss: sums.loss + likelihood.loss(f, labels, examples, outputs),
        agreement: sums.agreement === undefined ? undefined : addAgreement(sums.agreement, f, labels, examples) })
    }
    if (sums.curvature.structure === 'kron' && evaluator.kroneckerSums !== undefined &&
      gramsSuffice(kfacApprox, linears)) {
      const f = await evaluator.kroneckerSums(x, seeds, operatorSums(sums.curvature.blocks, linears))
      unfinished.add(shard)
      put({ ...sums.curvature, blocks: countRows(sums.curvature.blocks, linears, examples) }, f)
      return undefined
    }
    if (subset === 'all') {
      const { f, jacobian } = await evaluator.seeded(x, seeds)
      put(accumulateCurvature(sums.curvature, slots, jacobian, kfacApprox), f)
      return undefined
    }
    const { f, features } = await evaluator.features(x)
    put(accumulateLastLayer(sums.curvature, slots, features, f, examples, likelihood), f)
    return keepFeatures ? features : undefined
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
      if (!unfinished.delete(shard) || sums?.curvature.structure !== 'kron') return sums
      return { ...sums, curvature: { ...sums.curvature, blocks: completed(sums.curvature.blocks, linears) } }
    },
    async gaussian(parts, x, kind) {
      const { f, jacobian } = await evaluator.jacobian(x)
      return { f, ...outputMoments(parts, slots, jacobian, kind) }
    },
  }
}
