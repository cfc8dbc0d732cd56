/**
 * @file Products with the Jacobian of many rows, batch by batch: nothing of the size of J, or of its factors on all
 * rows, is kept.
 */
import { addTransposedProduct, jacobianTimes } from '../curvature/jacobian-products.js'
import { joinVectors, splitVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { type LikelihoodForm, likelihoodModel } from '../likelihood/registry.js'
import { BATCH_BYTES, sliceExamples } from '../network/batches.js'
import type { Inputs } from '../network/input-rows.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { Likelihood } from '../options/words.js'
import { type BatchOptions, batchWithin } from '../programs/batch-size.js'
import type { Evaluator } from '../programs/evaluator.js'
import { type LinearMap, linearMap } from '../programs/linear-map.js'
import { squaresMap } from '../programs/squares-map.js'
import type { RotatedTensor } from '../programs/squares-program.js'
import { type HessianRoots, rootTimes, transposedRootTimes } from './hessian-roots.js'

/** Products with the Jacobian of N rows at the network's weights. */
export interface RowProducts {
  /** J v, N x C. */
  times(v: Float64Array): Promise<Float64Array>
  /** J' u, P. */
  transposedTimes(u: Float64Array): Promise<Float64Array>
  /** sum_n J_n' R_n R_n' J_n v for the rows v of a count x P matrix. */
  curvatureTimes(root: HessianRoots, vectors: Float64Array, count: number): Promise<Float64Array>
}

/** In which bases the squares of gradients are summed, a root of whose Lambda they start from, and within what. */
export interface SquaresRequest extends BatchOptions {
  readonly tensors: readonly RotatedTensor[]
  readonly likelihood: Likelihood
  readonly form: LikelihoodForm
}

/** Such a product, as it can be asked for in another thread. */
export type RowRequest =
  | { readonly kind: 'times', readonly v: Float64Array }
  | { readonly kind: 'transposed', readonly u: Float64Array }
  | { readonly kind: 'curvature', readonly root: HessianRoots, readonly vectors: RealArray, readonly count: number }
  | { readonly kind: 'squares' } & SquaresRequest

/** Rows with which products are worked out, one product after another, in the calling thread. */
export interface KeptRows {
  begin(request: RowRequest): void
  /** Takes the next rows; returns how many were taken since the product began. */
  advance(): Promise<number>
  /** What the product has come to. */
  finish(): Float64Array
  dispose(): void
}

/** A product under way. */
interface RunningProduct {
  readonly batch: number
  take(from: number, to: number): Promise<void>
  result(): Float64Array
  /** Releases programs of its own. */
  dispose?(): void
}

/** Keeps rows, in the shape of the network's input. */
export function keptRows(evaluator: Evaluator, x: Inputs, examples: number): KeptRows {
  const { network, slots, engine, precision } = evaluator
  let made: LinearMap | undefined
  const map = (): LinearMap => (made ??= linearMap(network, slots, engine, precision))
  let running: RunningProduct | undefined
  let taken = 0
  const slice = (from: number, to: number): Inputs => sliceExamples(x, network.inputs, from, to)
  return {
    begin(request) {
      running = productOf(evaluator, map, slice, examples, request)
      taken = 0
    },
    async advance() {
      const to = Math.min(examples, taken + (running?.batch ?? examples))
      await running?.take(taken, to)
      return (taken = to)
    },
    finish() {
      const result = running?.result() ?? new Float64Array(0)
      running?.dispose?.()
      running = undefined
      return result
    },
    dispose: () => {
      made?.dispose()
      running?.dispose?.()
    },
  }
}

/** The rows are part of a plan that was made within the limit on memory. */
const FREE: BatchOptions = { batchSize: undefined, memoryLimit: Infinity }

type Slice = (from: number, to: number) => Inputs

function productOf(evaluator: Evaluator, map: () => LinearMap, slice: Slice, examples: number,
  request: RowRequest): RunningProduct {
  const batch = batchWithin(evaluator, 1, 'sums', FREE, examples)
  switch (request.kind) {
    case 'times':
      return imagesOf(map(), slice, batch, examples, request.v)
    case 'transposed':
      return gradientOf(map(), slice, batch, request.u)
    case 'curvature':
      // Two passes a vector, or the factors of all seeds once.
      return 2 * request.count < request.root.rank
        ? oneByOne(map(), slice, batch, request)
        : together(evaluator, slice, examples, request)
    case 'squares':
      return squaresOf(evaluator, slice, examples, request)
  }
}

function imagesOf(map: LinearMap, slice: Slice, batch: number, examples: number, v: Float64Array): RunningProduct {
  const images = new Float64Array(examples * map.outputs)
  return { batch, result: () => images, take: async (from, to) => {
    images.set(await map.times(v, slice(from, to)), from * map.outputs)
  } }
}

function gradientOf(map: LinearMap, slice: Slice, batch: number, u: Float64Array): RunningProduct {
  const { outputs } = map
  const sum = new Float64Array(map.parameters)
  return { batch, result: () => sum, take: async (from, to) => {
    await map.transposedTimes(u.subarray(from * outputs, to * outputs), slice(from, to), sum)
  } }
}

type CurvatureRequest = Extract<RowRequest, { kind: 'curvature' }>

function oneByOne(map: LinearMap, slice: Slice, batch: number,
  { root, vectors, count }: CurvatureRequest): RunningProduct {
  const { outputs, parameters } = map
  const sums = new Float64Array(count * parameters)
  return { batch, result: () => sums, take: async (from, to) => {
    const x = slice(from, to)
    const own = rootOf(root, outputs, from, to)
    for (let k = 0; k < count; k++) {
      const [start, end] = [k * parameters, (k + 1) * parameters]
      const image = transposedRootTimes(own, await map.times(Float64Array.from(vectors.subarray(start, end)), x),
        outputs)
      await map.transposedTimes(rootTimes(own, image, outputs), x, sums.subarray(start, end))
    }
  } }
}

/** In float32 where the network is: eigenvectors need no more digits, and the sums are in float64. */
function together(evaluator: Evaluator, slice: Slice, examples: number,
  { root, vectors, count }: CurvatureRequest): RunningProduct {
  const { slots, network: { outputs } } = evaluator
  const own = splitVectors(slots, vectors, count)
  const single = vectors instanceof Float32Array
  const sums = zeroVectors(slots, count)
  return { batch: batchWithin(evaluator, root.rank, 'sums', FREE, examples), result: () => joinVectors(slots, sums),
    take: async (from, to) => {
      const { jacobian } = await evaluator.seeded(slice(from, to), { count: root.rank,
        from: () => seedsOf(rootOf(root, outputs, from, to), outputs) })
      const images = jacobianTimes(jacobian, own)
      addTransposedProduct(sums, jacobian, single ? Float32Array.from(images) : images)
    } }
}

function squaresOf(evaluator: Evaluator, slice: Slice, examples: number,
  { tensors, likelihood: name, form, ...limits }: SquaresRequest): RunningProduct {
  const { outputs } = evaluator.network
  const likelihood = likelihoodModel(name, form)
  const count = likelihood.seedCount(outputs)
  const map = squaresMap(evaluator, { count, from: (f, own) => likelihood.hessianSeeds(f, own, outputs) }, tensors)
  const most = Math.floor(Math.min(limits.memoryLimit, BATCH_BYTES) / map.bytes)
  const sum = new Float64Array(parameterCount(evaluator.slots))
  return { batch: Math.max(1, Math.min(most, batchWithin(evaluator, count, 'sums', limits, examples))),
    result: () => sum, take: (from, to) => map.add(slice(from, to), to - from, sum), dispose: map.dispose }
}

/** The roots of some examples. */
export function rootOf({ rank, roots }: HessianRoots, outputs: number, from: number, to: number): HessianRoots {
  return { rank, roots: roots.subarray(from * outputs * rank, to * outputs * rank) }
}

/** N x C x K as K x N x C. */
function seedsOf({ rank, roots }: HessianRoots, outputs: number): Float64Array {
  const examples = roots.length / (outputs * rank)
  const seeds = new Float64Array(roots.length)
  for (let i = 0; i < examples * outputs; i++) {
    for (let k = 0; k < rank; k++) seeds[k * examples * outputs + i] = roots[i * rank + k]
  }
  return seeds
}
