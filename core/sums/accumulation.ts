/** @file Sums the curvature over the training data, batch by batch. */
import { tellExpected, type WorkOptions } from '../budget/progress.js'
import { zeroCurvature } from '../curvature/accumulate.js'
import { checkMemory, sumBytes } from '../curvature/posterior-bytes.js'
import { ShapeError } from '../errors/errors.js'
import type { GraphInput } from '../graph/graph.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { noAgreement } from '../likelihood/agreement.js'
import { checkOneClass, withClassWeight } from '../likelihood/class-weights.js'
import { checkLabels } from '../likelihood/labels.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { termsOf } from '../likelihood/output-layout.js'
import { type LabelledExamples, labelledExamples, leftOutNote } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { forEachBatch, sliceExamples, takeExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { FitSums, LabelledBatch } from '../parallel/batch-sums.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import { batchWithin, seedsAtOnce } from '../programs/batch-size.js'
import type { Evaluator } from '../programs/evaluator.js'
import { multiplicationsPerExample, sumsWork } from '../programs/work.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { takeRows } from '../tensor/rows.js'
import type { Tensor } from '../tensor/tensor.js'
import type { LinearData } from './linear-data.js'
import { rowReservoir } from './row-reservoir.js'
import { scheduleBatches } from './scheduler.js'

/**
 * Shards of sums that take so many bytes each: two threads have work wherever two shards are not too large. A power of
 * two, as is the number of threads as a rule: of seven shards one of two threads would have four.
 */
export function shardCount(bytes: number, memoryLimit: number): number {
  const least = 2 * bytes <= Math.max(PAIR_BYTES, memoryLimit / 2) ? 2 : 1
  const most = Math.min(SHARDS, SHARDS_BYTES / (2 * bytes))
  return Math.max(least, 2 ** Math.floor(Math.log2(Math.max(1, most))))
}

/** A fit under way. Data that were added stay added; after an error it must be thrown away. */
export interface Accumulation {
  /**
   * Adds examples; returns how many there are.
   * @param weights how often each of them counts; once where there are none
   * @throws ShapeError, DataError, CancelledError
   */
  add(x: Examples, y: Tensor, work: WorkOptions, weights?: Float64Array): Promise<number>
  /** The sums, once. */
  sums(): Promise<FitSums>
  /** Features and labels of everything that was added, when they were kept. */
  linearData(): Promise<LinearData | undefined>
}

/** What a fit needs to know of the options. */
export type FitOptions = Pick<ResolvedOptions,
  'likelihood' | 'structure' | 'blocks' | 'curvature' | 'draws' | 'kfacApprox' | 'batchSize' | 'memoryLimit' | 'seed'
    | 'classWeight' | 'roots'>

/**
 * Shards that a fit's batches are given to, and the memory that all of them may take together. The number is part of
 * the result: with another one sums are added in another order, which changes last bits.
 */
const SHARDS = 8

const SHARDS_BYTES = 64 << 20
/**
 * What two shards may take in any case; beyond, half of the limit on memory: the posterior that is made of the sums
 * takes two and a half times as much as they.
 */
const PAIR_BYTES = 128 << 20

/**
 * Starts at zero.
 * @param keepFeatures whether features and labels are kept, for tuning by the linear model
 * @throws ResourceError OUT_OF_MEMORY before anything is allocated
 */
export function startAccumulation(evaluator: Evaluator, pool: WorkerPool, options: FitOptions, keepFeatures: boolean,
  note: (sentence: string) => void): Accumulation {
  const { slots, layers, network } = evaluator
  const likelihood = likelihoodModel(options.likelihood, { roots: options.roots })
  const checkRows = (rows: number): void => {
    checkMemory(options, slots, layers, options.memoryLimit, rows)
  }
  checkRows(0)
  const { outputs } = network
  const seedsOfTerm = curvatureSeeds(likelihood, outputs, options)
  const seeds = seedsOfTerm * termsOf(network)
  const atOnce = seedsAtOnce(evaluator, seedsOfTerm, 'sums', options)
  const turns = termsOf(network) === 1 ? Math.ceil(seedsOfTerm / atOnce) : 1
  if (turns >= MANY_TURNS) note(turnsNote(seedsOfTerm, turns, options))
  const shards = shardCount(sumBytes(options, slots, layers), options.memoryLimit)
  const scheduler = scheduleBatches(pool, { structure: options.structure, blocks: options.blocks,
    curvature: options.curvature, draws: options.draws, seed: options.seed, kfacApprox: options.kfacApprox,
    keepFeatures, seedsAtOnce: atOnce }, shards)
  let examples = 0
  const features = keepFeatures ? featureSample(options.seed, outputs) : undefined
  return {
    async add(x, y, work, given) {
      const rows = networkInputs(x, network, evaluator.precision, note)
      const n = exampleCount(x)
      checkRows(examples + n)
      const size = batchWithin(evaluator, atOnce, 'sums', options, n)
      const { values } = checkLabels(y, likelihood.name, n, network)
      const own = likelihood.targetWidth(outputs)
      const width = own * termsOf(network)
      if (likelihood.outputsAlone === true && values.length !== n * width) throw otherRoots(options.roots ?? 1)
      checkOneClass(options.classWeight, termsOf(network))
      const weights = withClassWeight(options.classWeight, values, outputs, given)
      const leftOut = leftOutNote(values, network, own)
      if (leftOut !== undefined) note(leftOut)
      const workers = await scheduler.announceWork(n * multiplicationsPerExample(evaluator, seeds))
      tellExpected(work, 'fit', n, () => n * expectedWork(evaluator, options, seeds, atOnce) / workers)
      try {
        await forEachBatch(n, size, 'fit', work, async (from, to) => {
          const whole = { x: sliceExamples(rows, network.inputs, from, to),
            labels: values.subarray(from * width, to * width), examples: to - from, first: examples + from,
            weights: weights?.slice(from, to) }
          const batch = countedRows(whole, network.inputs, width, options)
          if (batch.examples === 0) return
          const scheduled = await scheduler.schedule(batch)
          features?.add(scheduled.features, labelledExamples(batch.labels, own, width / own))
        })
      } catch (error) {
        void scheduler.abandon()
        throw error
      }
      examples += n
      return examples
    },
    sums: async () =>
      await scheduler.collect() ??
        { examples: 0, loss: 0, curvature: zeroCurvature(options, slots, layers),
          agreement: noAgreement(options.likelihood, outputs) },
    linearData: async () => features?.data(),
  }
}

/** Multiplications of a row, as it goes through the network with some of the seeds at a time. */
function expectedWork(evaluator: Evaluator, options: FitOptions, seeds: number, atOnce: number): number {
  return Math.ceil(seeds / atOnce) * (evaluator.work(atOnce) + sumsWork(evaluator, options, atOnce))
}

/** The rows of a batch that count: those of weight 0 add nothing to any sum, and cost as much as others. */
function countedRows(batch: LabelledBatch, inputs: readonly GraphInput[], width: number,
  { curvature }: FitOptions): LabelledBatch {
  const { x, labels, weights } = batch
  // Draws of labels follow the places of the rows.
  if (weights?.includes(0) !== true || curvature === 'mc_fisher') return batch
  const counted = Int32Array.from(weights.keys()).filter(n => weights[n] !== 0)
  return { ...batch, x: counted.length === 0 ? x : takeExamples(x, inputs, counted), examples: counted.length,
    labels: takeRows(labels, counted, width), weights: weights.filter(weight => weight !== 0) }
}

/** Turns of a row's backward passes from which on a user is told of them: each goes through the network anew. */
const MANY_TURNS = 8

function turnsNote(seeds: number, turns: number, { curvature }: FitOptions): string {
  const fewer = curvature === 'mc_fisher'
    ? 'Fewer labels (option draws) take as many fewer passes'
    : "Curvature 'mc_fisher' takes one for each label that it draws (option draws)"
  return `Each row takes ${seeds} backward passes, ${Math.ceil(seeds / turns)} of them at once within memoryLimit, and `
    + `so ${turns} turns through the network; \`forecast\` says how long that is. ${fewer}, `
    + "and subset 'last_layer' none."
}

/** A sample of the rows of a last layer, drawn by the seed. */
function featureSample(seed: number, outputs: number) {
  const reservoir = rowReservoir(seed, outputs)
  let added: Promise<void> = Promise.resolve()
  return {
    add(features: Promise<RealArray | undefined>, { labels, sizes }: LabelledExamples): void {
      // In the order of the batches: the random keys belong to the rows.
      added = added.then(async () => {
        reservoir.add(await features ?? new Float64Array(0), labels, sizes)
      })
      added.catch(() => undefined)
    },
    async data(): Promise<LinearData | undefined> {
      await added
      return reservoir.data()
    },
  }
}

function otherRoots(roots: number): ShapeError {
  return new ShapeError(
    `The rows of this fit come with ${roots} column${roots === 1 ? '' : 's'} of a root of Lambda; ` +
      'these have another number.',
    { expected: roots },
  )
}

/** Seeds of one term of the likelihood that a curvature starts from. */
export function curvatureSeeds(likelihood: LikelihoodModel, outputs: number,
  { curvature, draws }: Pick<FitOptions, 'curvature' | 'draws'>): number {
  return curvature === 'empirical_fisher' ? 1 : curvature === 'mc_fisher' ? draws : likelihood.seedCount(outputs)
}
