/**
 * @file A worker computes batches: in the calling thread, or in a thread of its own. All workers run this same code.
 *
 * A fit's batches are given to shards in turn, each shard adds its own sums, and the shards are merged in their order
 * at the end. How many threads share the shards therefore changes nothing in the result, to the last bit.
 */
import { type CancelSignal, throwIfCancelled } from '../budget/progress.js'
import { accumulateCurvature, zeroCurvature } from '../curvature/accumulate.js'
import { rowAdder } from '../curvature/blocks.js'
import type { Curvature } from '../curvature/curvature.js'
import { seedRange } from '../curvature/jacobian.js'
import { completed, countRows, gramsSuffice, operatorSums } from '../curvature/kron-sums.js'
import { addReachedInputs, type ReachedRows, reachedRows } from '../curvature/kron.js'
import { accumulateLastLayer } from '../curvature/last-layer.js'
import { chosenEngine, type EngineProvider } from '../engine/chosen-engine.js'
import { InternalError } from '../errors/errors.js'
import { watched } from '../kernels/interruption.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { addAgreement, type Agreement, noAgreement } from '../likelihood/agreement.js'
import { empiricalFisher, sampledFisher } from '../likelihood/fisher.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { termsOf } from '../likelihood/output-layout.js'
import { labelledTerms } from '../likelihood/position-labels.js'
import { positionSeeds } from '../likelihood/position-seeds.js'
import { type LikelihoodForm, likelihoodModel } from '../likelihood/registry.js'
import { weighted, weightedSeeds } from '../likelihood/weighted.js'
import { type KeptRows, keptRows, type RowRequest } from '../linear-model/row-products.js'
import type { Inputs } from '../network/input-rows.js'
import type { Network } from '../network/network.js'
import type { CurvatureKind, EngineName, KfacApproximation, Likelihood, Subset, SumShape } from '../options/words.js'
import { decomposeFactor, type FactorEigen, type SymmetricFactor } from '../posterior/factor-eigen.js'
import { type OutputMoments, outputMoments, type PosteriorParts } from '../posterior/posterior-parts.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { positionsAtOnce } from '../programs/cost.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import { takeRows } from '../tensor/rows.js'
import type { Precision } from '../tensor/tensor.js'

/** The sums of a fit. */
export interface FitSums {
  readonly examples: number
  readonly loss: number
  readonly curvature: Curvature
  /** How the network agrees with the rows; undefined for partial fits of version 0.1.0. */
  readonly agreement: Agreement | undefined
}

/** What a fit sums up. */
export interface FitKind extends SumShape {
  readonly curvature: CurvatureKind
  /** Of curvature mc_fisher: labels drawn for each row, and what they are drawn by. */
  readonly draws: number
  readonly seed: number
  readonly kfacApprox: KfacApproximation
  readonly keepFeatures: boolean
}

/** What a worker is made from: plain data, so that it can be sent to a thread. */
export interface WorkerSetup {
  readonly network: Network
  readonly subset: Subset
  readonly precision: Precision
  readonly likelihood: Likelihood
  readonly form: LikelihoodForm
  readonly engine: EngineName
}

/** Outputs f (N x T x C) of a batch and their variances (N x T x C) or covariances (N x T x C x C). */
export interface BatchGaussian {
  readonly f: RealArray
  readonly variance: Float64Array
  /** f_lin - f of a linear model. */
  readonly change?: Float64Array
}

/** A labelled batch: inputs of the network's shape, labels as the likelihood takes them. */
export interface LabelledBatch {
  readonly x: Inputs
  readonly labels: Float64Array
  readonly examples: number
  /** How often each row counts, N; once where there are none. */
  readonly weights?: Float64Array | undefined
  /** The place of the first row among those of the fit. */
  readonly first?: number
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
  gaussian(parts: PosteriorParts, x: Inputs, kind: VarianceKind): Promise<BatchGaussian>
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
export function createWorker(evaluator: Evaluator, likelihoodName: Likelihood, form: LikelihoodForm = {}): Worker {
  const { slots, linears, subset, network } = evaluator
  const { outputs } = network
  const likelihood = likelihoodModel(likelihoodName, form)
  const shards = new Map<number, FitSums>()
  /** Shards whose factors are sums of lower triangles. */
  const unfinished = new Set<number>()
  const terms = termsOf(network)
  const seedsOfTerm = likelihood.seedCount(outputs)
  const atOnce = positionsAtOnce(evaluator, seedsOfTerm)
  const seedsAt = (from: number, own: LikelihoodModel, { labels, weights }: LabelledBatch) => (terms === 1
    ? { count: own.seedCount(outputs),
      from: (f: RealArray, examples: number) => own.hessianSeeds(f, examples, outputs) }
    : { count: atOnce * seedsOfTerm, from: (f: RealArray, examples: number) => {
      const seeds = positionSeeds(likelihood, f, labels, examples, outputs, { terms, from, count: atOnce })
      return weights === undefined ? seeds : weightedSeeds(seeds, weights, terms * outputs)
    } })
  const turns = new Map<number, Promise<unknown>>()
  const kept = new Map<number, KeptRows>()
  const rowsOf = (part: number): KeptRows => {
    const rows = kept.get(part)
    if (rows === undefined) throw new InternalError(`No rows are kept under ${part}.`)
    return rows
  }
  const addNow: Worker['add'] = async (kind, shard, batch) => {
    const { kfacApprox, keepFeatures } = kind
    const { x, labels, examples, weights } = batch
    const ofRows = terms === 1 ? likelihoodOfRows(likelihood, kind, batch) : likelihood
    const sums = shards.get(shard) ??
      { examples: 0, loss: 0, curvature: zeroCurvature(kind, slots, linears),
        agreement: noAgreement(likelihoodName, outputs) }
    const width = likelihood.targetWidth(outputs)
    const kept = terms === 1 ? undefined : labelledTerms(labels, width)
    const count = kept?.length ?? examples * terms
    const chosen = <A extends RealArray>(values: A, columns: number): A | Float64Array =>
      kept === undefined ? values : takeRows(values, kept, columns)
    const termWeights = weights &&
      Float64Array.from({ length: count }, (_, i) => weights[Math.floor((kept === undefined ? i : kept[i]) / terms)])
    const ofTerms = termWeights === undefined ? likelihood : weighted(likelihood, termWeights)
    const put = (curvature: Curvature, f: RealArray): void => {
      const [own, y] = [chosen(f, outputs), Float64Array.from(chosen(labels, width))]
      shards.set(shard, { curvature,
        examples: sums.examples + (weights?.reduce((sum, weight) => sum + weight, 0) ?? examples),
        loss: sums.loss + ofTerms.loss(own, y, count, outputs), agreement: sums.agreement === undefined
          ? undefined
          : addAgreement(sums.agreement, likelihood.observation?.means(own, count, outputs) ?? own, y, count,
            termWeights) })
    }
    if (sums.curvature.structure === 'kron' && evaluator.kroneckerSums !== undefined && kept === undefined &&
      weights === undefined && gramsSuffice(kfacApprox, linears)) {
      const own = operatorSums(sums.curvature.blocks, linears)
      let f = await evaluator.kroneckerSums(x, seedsAt(0, ofRows, batch), own, true)
      for (let from = atOnce; from < terms; from += atOnce) {
        f = await evaluator.kroneckerSums(x, seedsAt(from, ofRows, batch), own, false)
      }
      unfinished.add(shard)
      put({ ...sums.curvature, blocks: countRows(sums.curvature.blocks, linears, examples) }, f)
      return undefined
    }
    if (subset === 'all') {
      // Where positions are left out, only what some label reaches is data: known when all seeds have been seen.
      const partial = kept !== undefined && sums.curvature.structure === 'kron' && kfacApprox === 'expand'
      let { curvature } = sums
      let reached: ReachedRows = []
      for (let from = 0; from < terms; from += atOnce) {
        const { f, jacobian: seeded } = await evaluator.seeded(x, seedsAt(from, ofRows, batch))
        const jacobian = { ...seeded, weights }
        const addRow = kind.curvature === 'hessian' ? rowAdder(curvature, slots) : undefined
        if (addRow !== undefined) {
          // Of a last layer nothing is missing: its outputs are linear in its weights.
          await evaluator.secondDerivatives().eachRow(ofRows.residual(f, labels, examples, outputs), x, addRow)
        }
        curvature = accumulateCurvature(curvature, slots, jacobian, kfacApprox, from === 0 && !partial)
        if (partial) reached = reachedRows(jacobian, reached)
        if (from + atOnce < terms) continue
        put(partial && curvature.structure === 'kron'
          ? { ...curvature, blocks: addReachedInputs(curvature.blocks, jacobian, reached) }
          : curvature, f)
      }
      return undefined
    }
    const { f, features } = await evaluator.features(x)
    const phi = chosen(features, features.length / (examples * terms))
    const own = terms === 1 ? ofRows : ofTerms
    put(accumulateLastLayer(sums.curvature, slots, phi, chosen(f, outputs), count, own, termWeights), f)
    return keepFeatures ? phi : undefined
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
    decompose: async (factor, { signal, onShare }) =>
      watched(share => {
        throwIfCancelled(signal)
        if (share >= 0) onShare?.(share)
      }, () => decomposeFactor(factor)),
    async gaussian(parts, x, kind) {
      if (terms > 1) return gaussianAtPositions(evaluator, parts, x, kind)
      const { f, jacobian } = await evaluator.jacobian(x)
      return { f, ...outputMoments(parts, slots, jacobian, kind) }
    },
  }
}

/** The likelihood of a batch's rows, with the curvature that is asked for and the rows' weights. */
function likelihoodOfRows(likelihood: LikelihoodModel, { curvature, draws, seed }: FitKind,
  { labels, weights, first = 0 }: LabelledBatch): LikelihoodModel {
  const own = curvature === 'empirical_fisher'
    ? empiricalFisher(likelihood, labels)
    : curvature === 'mc_fisher'
    ? sampledFisher(likelihood, draws, seed, first)
    : likelihood.ofLabels?.(labels) ?? likelihood
  return weights === undefined ? own : weighted(own, weights)
}

/** Outputs and variances of networks with positions: some positions at once, each with the Jacobian of its outputs. */
async function gaussianAtPositions(evaluator: Evaluator, parts: PosteriorParts, x: Inputs,
  kind: VarianceKind): Promise<BatchGaussian> {
  const { slots, network } = evaluator
  const { outputs } = network
  const terms = termsOf(network)
  const count = positionsAtOnce(evaluator, outputs)
  const moments: OutputMoments[] = []
  let f: RealArray = new Float64Array(0)
  for (let from = 0; from < terms; from += count) {
    const linearisation = await evaluator.jacobian(x, { terms, from, count })
    f = linearisation.f
    for (let t = 0; t < Math.min(count, terms - from); t++) {
      moments.push(outputMoments(parts, slots, seedRange(linearisation.jacobian, t * outputs, outputs), kind))
    }
  }
  const change = moments.flatMap(({ change: own }) => (own === undefined ? [] : [own]))
  return { f, variance: interleaved(moments.map(({ variance }) => variance), f.length / (terms * outputs)),
    ...(change.length === 0 ? {} : { change: interleaved(change, f.length / (terms * outputs)) }) }
}

/** One array a position, N x width each, as N x T x width. */
function interleaved(parts: readonly Float64Array[], examples: number): Float64Array {
  const width = parts[0].length / examples
  const result = new Float64Array(parts.length * parts[0].length)
  parts.forEach((part, t) => {
    for (let n = 0; n < examples; n++) {
      result.set(part.subarray(n * width, (n + 1) * width), (n * parts.length + t) * width)
    }
  })
  return result
}
