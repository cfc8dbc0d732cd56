/** @file The work of one example in multiplications: of a run, of sums, variances and products with the Jacobian. */
import type { Subset, SumShape } from '../options/words.js'
import { denseSizes } from './batch-memory.js'
import type { Evaluator } from './evaluator.js'

/** Multiplications of a symmetric eigen-decomposition of n x n over n^3, at the speed of products. */
export const EIGEN_WORK = 5

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

/** Inputs of a convolution's products, channels times its window, from which on another engine multiplies faster. */
const WIDE_PATCH = 512
const CONVOLUTIONS: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose'])

/** What is done with a number of a value beside the products takes as long as so many multiplications. */
export const MULTIPLICATIONS_OF_NUMBER = 40

/** How many times a forward pass counts whose values take half as long as its products, or longer. */
const OF_VALUES = 4

/** What the share of the work is known by that another engine does faster. */
type Shared = Pick<Evaluator, 'linears' | 'subset' | 'network' | 'values' | 'forwardCost'>

/**
 * The part of the work that another engine does faster than the embedded one. Of derivatives of narrow convolutions it
 * does none: measured, one thread, all/kron, 1,000 rows and 16 and 32 channels take 0.98 s with ONNX Runtime and 0.68 s
 * here, 256 rows and 16 to 64 channels 3.1 s and 3.3 s. Forward passes of images and sequences take so long to start
 * here that its own start is worth it sooner: a first fit of a last layer, 64 rows and 0.8 to 3.6 x 10^9 products,
 * takes 0.16 s here and 0.13 s there (res8), 0.20 and 0.18 s (an encoder of 32 steps), 0.57 and 0.36 s (ViT).
 */
export function engineShare({ linears, subset, network, values, forwardCost }: Shared): number {
  if (subset === 'last_layer') return 2 * MULTIPLICATIONS_OF_NUMBER * values > forwardCost ? OF_VALUES : 1
  if (!network.graph.nodes.some(({ op }) => CONVOLUTIONS.has(op))) return 1
  let [wide, all] = [0, 0]
  for (const { in: inputs, out, positions } of linears) {
    const work = inputs * out * positions
    all += work
    if (positions === 1 || inputs >= WIDE_PATCH) wide += work
  }
  return all === 0 ? 1 : wide / all
}

/** Multiplications in the time in which a loop of this language makes one number. */
const LOOP_WORK = 10

/** Of one dense matrix and one example: its rows written out, and their products with each other or a factor. */
function denseWork(size: number, subset: Subset, seeds: number): number {
  return subset === 'last_layer' ? size * size / 2 : seeds * size * (size / 2 + LOOP_WORK)
}

/** Multiplications that the sums of one example take beside its run. */
export function sumsWork(evaluator: Evaluator, shape: SumShape, seeds: number): number {
  const { linears, subset, network } = evaluator
  const { structure } = shape
  const dense = denseSizes(evaluator, shape)
  if (dense.length > 0) return sum(dense.map(size => denseWork(size, subset, seeds)))
  const own = subset === 'last_layer' ? 1 : seeds
  return sum(linears.map(({ in: inputs, out, positions }) => {
    // Of symmetric products half is computed.
    if (structure === 'kron') return positions * (inputs * inputs + own * out * out) / 2
    return positions === 1
      ? inputs * out + network.outputs * out
      : own * inputs * out * (positions + LOOP_WORK)
  }))
}

/** Multiplications that the variances of one example take beside its run. */
export function varianceWork(evaluator: Evaluator, shape: SumShape, seeds: number): number {
  const { linears, subset } = evaluator
  const { structure } = shape
  const dense = denseSizes(evaluator, shape)
  if (dense.length > 0) return sum(dense.map(size => denseWork(size, subset, seeds)))
  // Every seed of a last layer is a unit vector.
  const own = subset === 'last_layer' ? 1 : seeds
  return sum(linears.map(({ in: inputs, out, positions }) => {
    // The gradients of several positions are rotated before they are added up, or after it.
    const rotated = structure === 'kron'
      ? positions * inputs * inputs + own * out * out * Math.min(positions, inputs)
      : 0
    return rotated + (positions === 1
      ? inputs * out + 2 * seeds * out
      : seeds * inputs * out * (positions + 2 * LOOP_WORK))
  }))
}

/** Multiplications of the layers' products in one forward pass of one example. */
export function layerMultiplications({ linears }: Evaluator): number {
  return linears.reduce((sum, { positions, in: inputs, out }) => sum + positions * inputs * out, 0)
}

/** Multiplications of J v and J'u of one example: the network forward and back, and its layers' products with both. */
export function jacobianMultiplications(evaluator: Evaluator): number {
  return 2 * evaluator.forwardCost + 2 * layerMultiplications(evaluator)
}

/** Multiplications of J J' of so many examples and seeds, symmetric where operators have no positions. */
export function gramMultiplications({ linears }: Evaluator, examples: number, seeds: number): number {
  const count = examples * seeds
  return sum(linears.map(({ in: inputs, out, positions }) =>
    positions === 1
      ? examples ** 2 * inputs + count ** 2 * out / 2
      : count ** 2 * inputs * out + count * positions * inputs * out
  ))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
