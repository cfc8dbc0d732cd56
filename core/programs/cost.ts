/** @file What one example costs: multiplications, and numbers at its widest. */
import { termsOf } from '../likelihood/output-layout.js'
import { BATCH_BYTES, batchSizeFor, checkBatch } from '../network/batches.js'
import type { Evaluator } from './evaluator.js'

/**
 * Multiplications of one example: a forward pass, the backward pass of every seed, and the products with the layers'
 * matrices at every position.
 */
export function multiplicationsPerExample({ linears, subset, forwardCost }: Evaluator, seeds: number): number {
  if (subset === 'last_layer') {
    return forwardCost + linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + inputs * out, 0)
  }
  return forwardCost * (1 + seeds) +
    linears.reduce((sum, { in: inputs, out, positions }) => sum + positions * (inputs * inputs + seeds * out * out), 0)
}

/** What one example needs at its widest, in numbers: its seeds' gradients and its activations. */
export function numbersPerExample(evaluator: Evaluator, seeds: number): number {
  const { linears, network, subset } = evaluator
  const terms = termsOf(network)
  if (terms > 1) return 2 * widestOfSeed(evaluator) * (subset === 'all' ? seeds : 1)
  const widest = linears.reduce(
    (most, { in: inputs, out }) => Math.max(most, inputs, subset === 'all' ? seeds * out : out),
    network.outputs,
  )
  return 4 * widest
}

/** The widest value of a batch may hold so many times the numbers that the linear layers' values may. */
const WIDER = 16

/**
 * What is done with a batch: the network's outputs (or a last layer's inputs) alone, sums of its factored Jacobian, or
 * the variances that a posterior gives to the outputs.
 */
export type BatchUse = 'outputs' | 'sums' | 'variances'

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
  const wanted = Math.max(1, Math.min(examples, batchSize ?? batchSizeFor(Math.max(numbers, evaluator.widest / WIDER))))
  // Only a bound that is too large makes the exact number worth its time.
  const bound = 16 * (1 + seeds) * (evaluator.values + factorNumbers(evaluator, 1))
  if (bound * wanted <= Math.min(memoryLimit, BATCH_BYTES)) return wanted
  const each = bytesPerExample(evaluator, seeds, use)
  checkBatch(batchSize === undefined ? 1 : wanted, each, memoryLimit)
  const most = Math.min(memoryLimit, batchSize === undefined ? BATCH_BYTES : memoryLimit)
  return Math.max(1, Math.min(wanted, Math.floor(most / each)))
}

/** Numbers of the pairs (a, g) of every linear operator, of one example. */
function factorNumbers({ linears }: Evaluator, seeds: number): number {
  return linears.reduce((sum, { in: inputs, out, positions }) => sum + positions * (inputs + seeds * out), 0)
}

/**
 * Bytes that one example of a batch holds at once: the network's values while they are computed, beside the pairs
 * (a, g) that are handed over, or these and what becomes of them. Sums square them, or take them as they are; variances
 * rotate all of them into the posterior's eigenbases, and g once more for biases that are used at several positions.
 */
export function bytesPerExample(evaluator: Evaluator, seeds: number, use: BatchUse): number {
  const { linears, subset, precision } = evaluator
  const outputsAlone = use === 'outputs' && subset === 'all'
  const working = evaluator.workingBytes(outputsAlone ? 0 : seeds)
  if (outputsAlone) return working
  const number = precision === 'float32' ? 4 : 8
  const factors = number * factorNumbers(evaluator, subset === 'all' ? seeds : 1)
  const rotated = use === 'variances'
    ? number *
      linears.reduce(
        (sum, { in: inputs, out, positions }) =>
          sum + (positions === 1 ? 2 * inputs + (1 + seeds) * out : positions * (inputs + 2 * seeds * out)),
        0,
      )
    : 0
  return Math.max(working, factors) + factors + rotated
}

/** The numbers of one seed of an example at their widest, where outputs and layers have positions. */
function widestOfSeed({ linears, network, subset }: Evaluator): number {
  const terms = termsOf(network)
  return linears.reduce(
    (most, { in: inputs, out, positions }) =>
      Math.max(most, (subset === 'all' ? positions : terms) * Math.max(inputs, out)),
    terms * network.outputs,
  )
}

/** Numbers of the seeds that travel through the network at once, of one example. */
const SEED_NUMBERS = 1 << 21

/** How many positions of an example have their seeds computed at once. @param seeds of one position */
export function positionsAtOnce(evaluator: Evaluator, seeds: number): number {
  const most = Math.floor(SEED_NUMBERS / (widestOfSeed(evaluator) * seeds))
  return Math.max(1, Math.min(termsOf(evaluator.network), most))
}

/** Multiplications of the layers' products in one forward pass of one example. */
export function layerMultiplications({ linears }: Evaluator): number {
  return linears.reduce((sum, { positions, in: inputs, out }) => sum + positions * inputs * out, 0)
}
