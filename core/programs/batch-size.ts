/** @file How many examples, and seeds of an example, are computed at once: as many as are fast and fit. */
import { termsOf } from '../likelihood/output-layout.js'
import { BATCH_BYTES, batchSizeFor, checkBatch } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import { type BatchUse, boundOfBytes, bytesPerExample, numbersPerExample, widestOfSeed } from './batch-memory.js'
import type { Evaluator } from './evaluator.js'
import { MULTIPLICATIONS_OF_NUMBER, multiplicationsPerExample } from './work.js'

/** The widest value of a batch may hold so many times the numbers that the linear layers' values may. */
const WIDER = 16

/** What a batch may hold: as many examples as are asked for, within the limit on memory. */
export interface BatchOptions {
  readonly batchSize: number | undefined
  readonly memoryLimit: number
}

/**
 * Examples of one batch: as they are asked for, else as many as are fast and fit.
 * @param seeds that travel back through the network at once
 * @throws ResourceError OUT_OF_MEMORY before anything is computed, with what is needed and what would fit
 */
export function batchWithin(evaluator: Evaluator, seeds: number, use: BatchUse,
  { batchSize, memoryLimit }: BatchOptions, examples: number): number {
  const numbers = numbersPerExample(evaluator, seeds)
  const wanted = Math.max(1, Math.min(examples, batchSize ??
    Math.min(batchSizeFor(Math.max(numbers, evaluator.widest / WIDER)), examplesAtOnce(evaluator, seeds, use),
      featuresAtOnce(evaluator, examples))))
  if (boundOfBytes(evaluator, seeds) * wanted <= Math.min(memoryLimit, BATCH_BYTES)) return wanted
  const each = bytesPerExample(evaluator, seeds, use)
  checkBatch(batchSize === undefined ? 1 : wanted, each, memoryLimit)
  const most = Math.min(memoryLimit, batchSize === undefined ? BATCH_BYTES : memoryLimit)
  return Math.max(1, Math.min(wanted, Math.floor(most / each)))
}

/** Bytes of a last layer's network that are alive at once, and multiplications that are worth a run. */
const [LIVE_BYTES, LEAST_MULTIPLICATIONS] = [4 << 20, 2 ** 27]

/**
 * Examples that go through the network of a last layer at once. Nothing is shared between them but calls: as soon as
 * these are few beside the products, more only hold more, and what a cache holds is the faster.
 */
function featuresAtOnce({ subset, live, precision, forwardCost }: Evaluator, examples: number): number {
  if (subset === 'all') return Infinity
  const bytes = (precision === 'float32' ? 4 : 8) * live
  const most = Math.ceil(Math.max(LIVE_BYTES / bytes, LEAST_MULTIPLICATIONS / forwardCost))
  // In equal parts, as a smaller last one saves nothing.
  return Math.ceil(examples / Math.max(1, Math.ceil(examples / most)))
}

/** Bytes of a batch of which nothing is summed, in every thread that predicts; and rows whose products are fast. */
const [PREDICTED_BYTES, PREDICTED_ROWS] = [8 << 20, 256]

/**
 * Examples whose variances in eigenbases are computed at once, of a batch of `size`: more make no product faster, and
 * their Jacobians and what becomes of them would be there in every thread. As many as are asked for by `batchSize`.
 */
export function predictedAtOnce(evaluator: Evaluator, seeds: number, batchSize: number | undefined,
  size: number): number {
  if (batchSize !== undefined || evaluator.subset === 'last_layer') return size
  const positions = Math.min(...evaluator.linears.map(({ positions: own }) => own))
  const most = PREDICTED_BYTES / bytesPerExample(evaluator, seeds, 'variances')
  return Math.min(size, Math.ceil(Math.max(PREDICTED_ROWS / positions, most)))
}

/** Multiplications of a batch, between which and the next a fit can be cancelled: a fifth of a second at most. */
const BATCH_MULTIPLICATIONS = 2 ** 32

/** Reading and writing a number of the sums, which every batch does once, takes as long as so many multiplications. */
const MULTIPLICATIONS_OF_SUM = 256

/**
 * Examples that are computed in that time, the products of a backward pass being smaller, which takes twice as long; of
 * large sums more: as many as their products take as long as adding them up.
 */
function examplesAtOnce(evaluator: Evaluator, seeds: number, use: BatchUse): number {
  const { forwardCost, values, subset, slots } = evaluator
  const products = forwardCost + 2 * Math.max(0, multiplicationsPerExample(evaluator, seeds) - forwardCost)
  const numbers = values * (subset === 'all' ? 1 + seeds : 1)
  const least = use === 'sums' ? MULTIPLICATIONS_OF_SUM * parameterCount(slots) / products : 1
  return Math.max(1, Math.ceil(least),
    Math.floor(BATCH_MULTIPLICATIONS / (products + MULTIPLICATIONS_OF_NUMBER * numbers)))
}

/** Numbers of the seeds that travel through the network at once, of one example. */
const SEED_NUMBERS = 1 << 21

/** Of the limit on memory, what one example's backward pass may hold before its seeds are taken in turns. */
const SEEDS_SHARE = 1 / 4

/**
 * How many seeds of an example travel back through the network at once: those of some positions, or as many of one
 * position's as hold a share of the memory.
 * @param seeds of one position
 */
export function seedsAtOnce(evaluator: Evaluator, seeds: number, use: BatchUse,
  { memoryLimit }: Pick<BatchOptions, 'memoryLimit'>): number {
  const positions = positionsAtOnce(evaluator, seeds)
  if (evaluator.subset === 'last_layer' || termsOf(evaluator.network) > 1) return seeds * positions
  const most = SEEDS_SHARE * memoryLimit
  if (boundOfBytes(evaluator, seeds) <= most) return seeds
  const [one, two] = [bytesPerExample(evaluator, 1, use), bytesPerExample(evaluator, 2, use)]
  const fits = Math.max(1, 1 + Math.floor((most - one) / Math.max(1, two - one)))
  return Math.ceil(seeds / Math.ceil(seeds / fits))
}

/** How many positions of an example have their seeds computed at once. @param seeds of one position */
export function positionsAtOnce(evaluator: Evaluator, seeds: number): number {
  const most = Math.floor(SEED_NUMBERS / (widestOfSeed(evaluator) * seeds))
  return Math.max(1, Math.min(termsOf(evaluator.network), most))
}
