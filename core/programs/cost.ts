/** @file What one example costs: multiplications, and numbers at its widest. */
import { termsOf } from '../likelihood/output-layout.js'
import { batchSizeFor, checkBatch } from '../network/batches.js'
import type { Evaluator } from './evaluator.js'

/**
 * Multiplications of one example: a forward pass, the backward pass of every seed, and the products with the layers'
 * matrices.
 */
export function multiplicationsPerExample({ linears, subset, network }: Evaluator, seeds: number): number {
  const weights = network.graph.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
  if (subset === 'last_layer') {
    return weights + linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + inputs * out, 0)
  }
  return weights * (1 + seeds) +
    linears.reduce((sum, { in: inputs, out }) => sum + inputs * inputs + seeds * out * out, 0)
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
 * Examples of one batch: as they are asked for, else as many as are fast and fit.
 * @throws ResourceError OUT_OF_MEMORY before anything is computed, with what is needed and what would fit
 */
export function batchWithin(evaluator: Evaluator, seeds: number,
  { batchSize, memoryLimit }: { readonly batchSize: number | undefined, readonly memoryLimit: number },
  examples: number): number {
  const numbers = numbersPerExample(evaluator, seeds)
  const wanted = Math.max(1, Math.min(examples, batchSize ?? batchSizeFor(Math.max(numbers, evaluator.widest / WIDER))))
  // Only a rough bound that is too large makes the exact one worth its time.
  const rough = 8 * (2 + seeds) * evaluator.widest
  const working = rough * wanted > memoryLimit ? evaluator.workingBytes(seeds) : 0
  if (batchSize !== undefined) checkBatch(wanted, Math.max(working, 8 * numbers), memoryLimit)
  else checkBatch(1, working, memoryLimit)
  return working === 0 ? wanted : Math.min(wanted, Math.floor(memoryLimit / working))
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
