/** @file What one example costs: multiplications, and numbers at its widest. */
import { CONSTANT_BYTES } from '../kernels/arena.js'
import { termsOf } from '../likelihood/output-layout.js'
import { BATCH_BYTES, batchSizeFor, checkBatch } from '../network/batches.js'
import { blockSizes } from '../network/parameter-blocks.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { Subset, SumShape } from '../options/words.js'
import type { Evaluator } from './evaluator.js'
import { columnsAtOnce } from './operator-columns.js'

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
const MULTIPLICATIONS_OF_NUMBER = 40

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

/** What one example needs at its widest, in numbers: its seeds' gradients and its activations. */
function numbersPerExample(evaluator: Evaluator, seeds: number): number {
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
 * the variances, or covariances, that a posterior gives to the outputs.
 */
export type BatchUse = 'outputs' | 'sums' | 'variances' | 'covariances'

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

/** At most what one example holds, found at once: only where that is too large the exact number is worth its time. */
function boundOfBytes({ subset, precision, values, live, ...rest }: Evaluator, seeds: number): number {
  const factors = factorNumbers(rest, 1)
  // No seed travels through the network of a last layer: what it holds, and three times as much to work in.
  return subset === 'all'
    ? 16 * (1 + seeds) * (values + factors)
    : (precision === 'float32' ? 16 : 32) * (live + factors)
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

/** Numbers of the pairs (a, g) of every linear operator, of one example. */
export function factorNumbers({ linears }: Pick<Evaluator, 'linears'>, seeds: number): number {
  return linears.reduce((sum, { in: inputs, out, positions }) => sum + positions * (inputs + seeds * out), 0)
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
  return Math.min(CONSTANT_BYTES, number * sum([...graph.initializers.values()].map(({ data }) => data.length)))
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
function bytesPerExample(evaluator: Evaluator, seeds: number, use: BatchUse): number {
  const { working, handed, after } = batchHeld(evaluator, seeds, use)
  return Math.max(working, handed) + handed + after
}

/** Multiplications in the time in which a loop of this language makes one number. */
const LOOP_WORK = 10

/** Parameters of each dense matrix of a structure: of the one of all parameters, or of each block. */
export function denseSizes({ slots, layers }: Pick<Evaluator, 'slots' | 'layers'>,
  { structure, blocks = 'layer' }: SumShape): number[] {
  if (structure === 'full') return [parameterCount(slots)]
  return structure === 'blockdiag' ? blockSizes(blocks, slots, layers) : []
}

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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
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
