/** @file What one example of a batch holds in memory, from shapes alone. */
import { CONSTANT_BYTES } from '../kernels/arena.js'
import { termsOf } from '../likelihood/output-layout.js'
import { blockSizes } from '../network/parameter-blocks.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { SumShape } from '../options/words.js'
import type { Evaluator } from './evaluator.js'
import { columnsAtOnce } from './operator-columns.js'

/**
 * What is done with a batch: the network's outputs (or a last layer's inputs) alone, sums of its factored Jacobian, or
 * the variances, or covariances, that a posterior gives to the outputs.
 */
export type BatchUse = 'outputs' | 'sums' | 'variances' | 'covariances'

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

/** The numbers of one seed of an example at their widest, where outputs and layers have positions. */
export function widestOfSeed({ linears, network, subset }: Evaluator): number {
  const terms = termsOf(network)
  return linears.reduce(
    (most, { in: inputs, out, positions }) =>
      Math.max(most, (subset === 'all' ? positions : terms) * Math.max(inputs, out)),
    terms * network.outputs,
  )
}

/** At most what one example holds, found at once: only where that is too large the exact number is worth its time. */
export function boundOfBytes({ subset, precision, values, live, ...rest }: Evaluator, seeds: number): number {
  const factors = factorNumbers(rest, 1)
  // No seed travels through the network of a last layer: what it holds, and three times as much to work in.
  return subset === 'all'
    ? 16 * (1 + seeds) * (values + factors)
    : (precision === 'float32' ? 16 : 32) * (live + factors)
}

/** What one example of a batch holds, in bytes. */
export interface BatchHeld {
  /** The network's values while they are computed. */
  readonly working: number
  /** The pairs (a, g) that are handed over. */
  readonly handed: number
  /** What becomes of them. */
  readonly after: number
  /** Blocks of rows of J that are written out, whatever the batch; and one such row of all seeds, with a copy. */
  readonly block: number
  readonly written: number
  /** What a likelihood makes of the outputs of a last layer that is summed, and leaves behind. */
  readonly scored: number
  /** The network's constants, which its programs keep, whatever the batch. */
  readonly constants: number
}

/** Rows of J that are written out at a time, with the kernels' copy. */
const BLOCK_BYTES = 2 << 24

/**
 * What an example holds: Kronecker factors of dense layers are summed where the values are; the other sums take the
 * pairs as they are, or square them; variances rotate those of one layer after another into the posterior's eigenbases,
 * and g once more for biases that are used at several positions. Where there are positions, or P x P numbers, rows of J
 * are written out; for variances in eigenbases some columns of one layer's at a time, with the weights and the sum of
 * outputs.
 * @param examples of the batch, which share what operators hold once: weights that are packed or transformed
 */
export function batchHeld(evaluator: Evaluator, seeds: number, use: BatchUse, shape: SumShape = { structure: 'diag' },
  examples = 1): BatchHeld {
  const { structure } = shape
  const { linears, subset, precision } = evaluator
  const outputsAlone = use === 'outputs' && subset === 'all'
  const working = evaluator.workingBytes(outputsAlone ? 0 : seeds, examples) / examples
  const number = precision === 'float32' ? 4 : 8
  const constants = keptConstants(evaluator, number)
  if (outputsAlone) return { working, handed: 0, after: 0, block: 0, written: 0, scored: 0, constants }
  const kept = use === 'sums' && structure === 'kron' && evaluator.kroneckerSums !== undefined
  // A last layer's outputs share its one input: there is no gradient for each of them.
  const gradients = subset === 'all' ? seeds : 1
  const handed = kept ? 0 : number * factorNumbers(evaluator, gradients)
  const rotated = linears.map(({ in: inputs, out, positions }) =>
    positions === 1 ? 2 * inputs + (1 + gradients) * out : positions * (inputs + 2 * gradients * out)
  )
  const ofPosterior = use === 'variances' || use === 'covariances'
  const { outputs } = evaluator.network
  const scored = subset === 'last_layer' && use === 'sums' ? SCORED_BYTES * outputs * termsOf(evaluator.network) : 0
  return { working, handed, after: ofPosterior ? number * ROTATED_LAYERS * Math.max(0, ...rotated) : 0, scored,
    constants, ...writtenRows(evaluator, seeds, use, shape, number) }
}

/** Layers whose rotated pairs are held at once: the first one's stay. */
const ROTATED_LAYERS = 2

/** Bytes of an output: probabilities, the diagonal of Lambda and what they are made by, all in float64. */
const SCORED_BYTES = 64

function keptConstants({ network: { graph } }: Evaluator, number: number): number {
  const numbers = [...graph.initializers.values()].reduce((sum, { data }) => sum + data.length, 0)
  return Math.min(CONSTANT_BYTES, number * numbers)
}

/** Rows of J that are written out. */
function writtenRows(evaluator: Evaluator, seeds: number, use: BatchUse, shape: SumShape,
  number: number): Pick<BatchHeld, 'block' | 'written'> {
  const { linears, slots, subset } = evaluator
  const { structure } = shape
  const sizes = denseSizes(evaluator, shape)
  if (sizes.length === 0 && !linears.some(({ positions }) => positions > 1)) return { block: 0, written: 0 }
  // Sums of the products of features, packed, in the kernels' memory and outside of it: there is no J.
  if (structure === 'full' && subset === 'last_layer' && linears.every(({ positions }) => positions === 1)) {
    return use === 'sums'
      ? { block: (8 << 20) + 8 * parameterCount(slots) ** 2, written: 8 * parameterCount(slots) }
      : { block: 8 << 20, written: 12 * parameterCount(slots) }
  }
  if (sizes.length === 0 && use === 'variances') {
    const layer = number *
      Math.max(
        ...linears.map(({ in: inputs, out, positions }) =>
          positions === 1 ? 3 * inputs * out : columnsAtOnce(seeds, out, inputs) * ((seeds + 3) * out + positions)
        ),
      )
    return { block: layer, written: layer }
  }
  if (structure === 'kron' && use === 'sums') return { block: 0, written: 0 }
  // Of blocks the rows of one at a time.
  const size = sizes.length === 0 ? parameterCount(slots) : Math.max(...sizes)
  return { block: BLOCK_BYTES + (subset === 'last_layer' ? 4 * size ** 2 : 0), written: 16 * seeds * size }
}

/** Bytes that one example of a batch holds at once. */
export function bytesPerExample(evaluator: Evaluator, seeds: number, use: BatchUse): number {
  const { working, handed, after } = batchHeld(evaluator, seeds, use)
  return Math.max(working, handed) + handed + after
}

/** Parameters of each dense matrix of a structure: of the one of all parameters, or of each block. */
export function denseSizes({ slots, layers }: Pick<Evaluator, 'slots' | 'layers'>,
  { structure, blocks = 'layer' }: SumShape): number[] {
  if (structure === 'full') return [parameterCount(slots)]
  return structure === 'blockdiag' ? blockSizes(blocks, slots, layers) : []
}

/** Numbers of the pairs (a, g) of every linear operator, of one example. */
export function factorNumbers({ linears }: Pick<Evaluator, 'linears'>, seeds: number): number {
  return linears.reduce((sum, { in: inputs, out, positions }) => sum + positions * (inputs + seeds * out), 0)
}
