/**
 * @file The mode of a large last layer with one prior precision. In the eigenbasis of the features' Gram matrix, of N
 * x N or of D x D, whichever is smaller, the weights have no more columns than rows were given, and the
 * preconditioner is diagonal there: a step costs two products of N C r.
 */
import { leaveBehind } from '../budget/garbage.js'
import type { WorkOptions } from '../budget/progress.js'
import { gemm, type RealArray, symmetricEigen } from '../kernels/linear-algebra.js'
import { conjugateGradients, dot } from '../linear-model/conjugate-gradients.js'
import { newtonMode, type NewtonPoint, type NewtonStep } from '../linear-model/newton.js'
import { withOwnPages } from '../tensor/own-pages.js'
import { boundedPrecision } from './bounds.js'
import type { LinearMode } from './linear-mode.js'
import { lambdaTimes, type LinearModel } from './linear-model.js'

/** Eigenvalues below this share of the largest are nothing but rounding. */
const NEGLIGIBLE = 1e-12
/** Products of one system after which the direction is taken as it is. */
const MOST_PRODUCTS = 60
/** Largest change of an output from which on float32 is enough for outputs and gradients on the way there. */
const COARSE = 1e-4
/** A step leaves some eight arrays of N x C or C x rank numbers behind. */
const BYTES_OF_STEP = 64
/** A start is not extrapolated further than so many times the way between the two modes before it. */
const FURTHEST = 2

/** Features phi = Z V' with Z'Z = diag(values). */
interface Rotation {
  readonly rank: number
  readonly values: Float64Array
  /** Z, N x rank, and the same in float32. */
  readonly coordinates: RealArray
  readonly single: Float32Array
  /** V, width x rank. */
  readonly basis: Float64Array
}

interface RotatedPoint extends NewtonPoint {
  /** W V, C x rank. */
  readonly weights: Float64Array
  readonly loss: number
}

/** Finds modes of s loss(w) + delta/2 |w|^2, each from the one before. */
export interface ModeFinder {
  modeAt(scale: number, delta: number, tolerance: number, work: WorkOptions): Promise<RotatedMode>
  /** About the fixed point of the prior precision: that of the model that is quadratic as the loss is at w = 0. */
  firstPrecision(scale: number): number
}

/** A mode whose weights are made when they are asked for: on the way to the prior's precision only their length is. */
export interface RotatedMode extends LinearMode {
  readonly squaredNorm: number
}

/**
 * The finder of a model; its eigenbasis is made once.
 * @param start weights from which the first mode is sought
 * @param rough whether six digits of outputs and gradients are enough
 */
export function rotatedModes(model: LinearModel, start: Float64Array, rough = false): ModeFinder {
  const { outputs, examples, width, indices, size } = model
  const rotation = rotate(model, rough)
  const { rank, coordinates, single, basis } = rotation
  const outputsAt = (weights: Float64Array, factor: RealArray): Float64Array => {
    const f = withOwnPages(examples * outputs)
    gemm(false, true, examples, outputs, rank, 1, factor, inPrecision(factor, weights), 0, f)
    return f
  }
  const rotated = (w: Float64Array): Float64Array => {
    const [matrix, own] = [withOwnPages(outputs * width), withOwnPages(outputs * rank)]
    for (let i = 0; i < matrix.length; i++) matrix[i] = w[indices[i]]
    gemm(false, false, outputs, rank, width, 1, matrix, basis, 0, own)
    return own
  }
  const back = (weights: Float64Array): Float64Array => {
    const [w, matrix] = [new Float64Array(size), withOwnPages(outputs * width)]
    gemm(false, true, outputs, width, rank, 1, weights, basis, 0, matrix)
    for (let i = 0; i < size; i++) w[indices[i]] = matrix[i]
    return w
  }
  const first = centre(rotated(start), model)
  const room = workspace(model, rank)
  let path: readonly PathPoint[] = []
  const modeAt: ModeFinder['modeAt'] = async (scale, delta, tolerance, work) => {
    const pointAt = (weights: Float64Array, f: Float64Array): RotatedPoint => {
      const loss = model.loss(f)
      return { weights, f, loss, objective: scale * loss + delta / 2 * dot(weights, weights) }
    }
    const factor = tolerance > COARSE ? single : coordinates
    const place = Math.log(delta / scale)
    const guess = extrapolated(path, place) ?? { weights: first, f: undefined }
    const from = pointAt(guess.weights, (factor === single ? guess.f : undefined) ?? outputsAt(guess.weights, factor))
    const { weights, f, loss } = await newtonMode(from, tolerance, work,
      async ({ weights: at, f: outputsThere }, forcing) => {
        leaveBehind(BYTES_OF_STEP * examples * Math.max(outputs, rank))
        const direction = await directionAt(model, rotation, factor, { scale, delta, weights: at, f: outputsThere },
          forcing, room)
        // What a step changes needs no more digits than the step has: of the mode they are those that are left.
        return stepFrom(at, outputsThere, direction, outputsAt(direction, single), pointAt)
      })
    path = [...path.slice(-1), { place, weights, f }]
    let w: Float64Array | undefined
    return { f, loss, squaredNorm: dot(weights, weights), get w() {
      return w ??= back(weights)
    } }
  }
  return { modeAt, firstPrecision: scale => precisionAtZero(model, rotation, scale) }
}

/** A mode that was found, and the logarithm of delta / s there, on which alone a mode depends. */
interface PathPoint {
  readonly place: number
  readonly weights: Float64Array
  readonly f: Float64Array
}

/** About the mode at another place, and its outputs, on the line through the last two; none before the first. */
function extrapolated([before, last = before]: readonly PathPoint[], place: number):
  | Omit<PathPoint, 'place'>
  | undefined {
  if (last === undefined) return undefined
  const share = (last.place - place) / (last.place - before.place)
  return Math.abs(share) <= FURTHEST
    ? { weights: between(last.weights, share, before.weights), f: between(last.f, share, before.f) }
    : last
}

/** x + share (before - x) */
function between(x: Float64Array, share: number, before: Float64Array): Float64Array {
  const result = withOwnPages(x.length)
  for (let i = 0; i < x.length; i++) result[i] = x[i] + share * (before[i] - x[i])
  return result
}

/** Rounds of a fixed point whose rounds cost nothing, and the change of its logarithm that ends it. */
const MOST_ROUNDS = 200
const ROUGHLY = 1e-3

/**
 * delta = gamma / |w|^2 with H and gradient of w = 0, where every row has the same H: its eigenvalues are s h g_k for
 * the h of an output and the eigenvalues g_k of the Gram matrix, and the mode is one Newton step away. Modes at a
 * precision that is far too small take many times as many products as all others together.
 */
function precisionAtZero(model: LinearModel, { rank, values, coordinates }: Rotation, scale: number): number {
  const { outputs, examples, likelihood } = model
  const nothing = new Float64Array(examples * outputs)
  const gradient = new Float64Array(outputs * rank)
  gemm(true, false, outputs, rank, examples, 1, inPrecision(coordinates, model.residual(nothing)), coordinates, 0,
    gradient)
  const squares = new Float64Array(rank)
  for (let i = 0; i < gradient.length; i++) squares[i % rank] += (scale * gradient[i]) ** 2
  // Of classes the shift of all of them is left out: I/C - 11'/C^2 is 1/C for what remains.
  const classes = likelihood.name === 'classification'
  const [own] = likelihood.hessianDiagonal(nothing, examples, outputs)
  const [curvature, free] = classes ? [1 / outputs, outputs - 1] : [own, outputs]
  let delta = 1
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let [gamma, squaredNorm] = [0, 0]
    for (let k = 0; k < rank; k++) {
      const eigenvalue = scale * curvature * values[k]
      gamma += free * eigenvalue / (eigenvalue + delta)
      squaredNorm += squares[k] / (eigenvalue + delta) ** 2
    }
    const next = boundedPrecision(gamma / squaredNorm)
    if (Math.abs(Math.log(next / delta)) < ROUGHLY) return next
    delta = next
  }
  return delta
}

function stepFrom(weights: Float64Array, f: Float64Array, direction: Float64Array, image: Float64Array,
  pointAt: (weights: Float64Array, f: Float64Array) => RotatedPoint): NewtonStep<RotatedPoint> {
  return { at: length => pointAt(moved(weights, length, direction), moved(f, length, image)) }
}

/** x - length d */
function moved(x: Float64Array, length: number, d: Float64Array): Float64Array {
  const result = withOwnPages(x.length)
  for (let i = 0; i < x.length; i++) result[i] = x[i] - length * d[i]
  return result
}

/** The eigenbasis of phi phi' or of phi' phi. @param rough whether Z in float32 is enough */
function rotate(model: LinearModel, rough: boolean): Rotation {
  const { examples, width } = model
  const wide = examples < width
  const { values, vectors } = wide
    ? symmetricEigen(examples, model.rowGram(), withOwnPages(examples * examples))
    : model.gramEigen()
  const size = wide ? examples : width
  const first = values.findIndex(value => value > NEGLIGIBLE * values[size - 1])
  const rank = first < 0 ? 0 : size - first
  const own = lastColumns(vectors, size, rank, withOwnPages(size * rank))
  const other = withOwnPages((wide ? width : examples) * rank)
  if (wide) gemm(true, false, width, rank, examples, 1, model.inputs(), own, 0, other)
  else gemm(false, false, examples, rank, width, 1, model.inputs(), own, 0, other)
  const chosen = values.slice(size - rank)
  if (wide) {
    scaleColumns(own, chosen.map(Math.sqrt))
    scaleColumns(other, chosen.map(value => 1 / Math.sqrt(value)))
  }
  const [coordinates, basis] = wide ? [own, other] : [other, own]
  const single = Float32Array.from(coordinates)
  return { rank, values: chosen, coordinates: rough ? single : coordinates, single, basis }
}

/** Multiplies each column by its factor, in place. */
function scaleColumns(matrix: Float64Array, factors: Float64Array): void {
  for (let at = 0; at < matrix.length; at += factors.length) {
    for (let k = 0; k < factors.length; k++) matrix[at + k] *= factors[k]
  }
}

/** Where a step starts, and what is minimised. */
interface StepStart {
  readonly scale: number
  readonly delta: number
  readonly weights: Float64Array
  readonly f: Float64Array
}

/** Numbers in the precision of others: the kernels multiply arrays of one type. */
function inPrecision(other: RealArray, values: Float64Array): RealArray {
  return other instanceof Float32Array ? new Float32Array(values) : values
}

/**
 * Arrays that every step uses again: as garbage they would pile up. Those of C x rank numbers are parts of one, which
 * is large enough to be given back to the system as a whole.
 */
interface Workspace {
  readonly gradient: Float64Array
  readonly inverse: Float64Array
  readonly solution: Float64Array
  readonly residual: Float64Array
  readonly direction: Float64Array
  readonly preconditioned: Float64Array
  readonly product: Float64Array
  /** The same in float32, and images of N x C numbers. */
  readonly single: Float32Array
  readonly image: Float32Array
}

function workspace({ outputs, examples }: LinearModel, rank: number): Workspace {
  const size = outputs * rank
  const all = withOwnPages(7 * size)
  const [gradient, inverse, solution, residual, direction, preconditioned, product] = Array.from({ length: 7 },
    (_, i) => all.subarray(i * size, (i + 1) * size))
  return { gradient, inverse, solution, residual, direction, preconditioned, product, single: new Float32Array(size),
    image: new Float32Array(examples * outputs) }
}

/**
 * Newton's direction, C x rank, which lasts until the next one is asked for. Products with the Hessian are in float32:
 * a direction needs no more digits.
 * @param precise Z in the precision of the gradient
 */
async function directionAt(model: LinearModel, { rank, values, single }: Rotation, precise: RealArray,
  { scale, delta, weights, f }: StepStart, forcing: number, room: Workspace): Promise<Float64Array> {
  const { outputs, examples, likelihood } = model
  const { gradient, image } = room
  const residual = inPrecision(precise, model.residual(f))
  gemm(true, false, outputs, rank, examples, 1, residual, precise, 0, gradient)
  for (let i = 0; i < gradient.length; i++) gradient[i] = scale * gradient[i] + delta * weights[i]
  const lambda = lambdaTimes(likelihood, f, examples, outputs)
  const { mean, largest } = curvatures(likelihood.hessianDiagonal(f, examples, outputs), examples, outputs)
  const precondition = preconditioner(model, mean.map(value => scale * value), values, delta, room.inverse)
  const kept = rank - negligible(single, largest.map(value => scale * value), rank, forcing ** 2 * delta)
  const some = lastColumns(gradient, rank, kept, withOwnPages(outputs * kept))
  const columns = lastColumns(single, rank, kept, new Float32Array(examples * kept))
  const part = <A extends RealArray>(whole: A): A => whole.subarray(0, outputs * kept) as A
  const [product, preconditioned, changed] = [part(room.product), part(room.preconditioned), part(room.single)]
  const { x } = await conjugateGradients({
    times: v => {
      changed.set(v)
      gemm(false, true, examples, outputs, kept, 1, columns, changed, 0, image)
      for (let i = 0; i < v.length; i++) product[i] = delta * v[i]
      gemm(true, false, outputs, kept, examples, scale, lambda(image), columns, 1, product)
      return product
    },
    precondition: v => precondition(v, preconditioned),
    room: [part(room.solution), part(room.residual), part(room.direction)],
  }, some, forcing, MOST_PRODUCTS)
  if (kept === rank) return x
  const direction = precondition(gradient, room.product)
  for (let c = 0; c < outputs; c++) direction.set(x.subarray(c * kept, (c + 1) * kept), (c + 1) * rank - kept)
  return direction
}

/** Of a Hessian's diagonal, N x C: the mean of each output, and the largest of each row. */
function curvatures(diagonal: Float64Array, examples: number,
  outputs: number): { mean: Float64Array, largest: Float64Array } {
  const [mean, largest] = [new Float64Array(outputs), new Float64Array(examples)]
  for (let n = 0, at = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++, at++) {
      mean[c] += diagonal[at] / examples
      largest[n] = Math.max(largest[n], diagonal[at])
    }
  }
  return { mean, largest }
}

/**
 * (h_c g_k + delta)^-1 for every output and component, of classes without their mean; of fewer components the last
 * ones. It is kept in `inverse`, and its product with a vector written to `z`.
 */
function preconditioner(model: LinearModel, curvature: Float64Array, values: Float64Array, delta: number,
  inverse: Float64Array): (v: Float64Array, z: Float64Array) => Float64Array {
  const { outputs } = model
  const rank = values.length
  for (let c = 0, at = 0; c < outputs; c++) {
    for (let k = 0; k < rank; k++, at++) inverse[at] = 1 / (curvature[c] * values[k] + delta)
  }
  return (v, z) => {
    const size = v.length / outputs
    for (let c = 0, at = 0; c < outputs; c++) {
      const from = (c + 1) * rank - size
      for (let k = 0; k < size; k++, at++) z[at] = v[at] * inverse[from + k]
    }
    return centre(z, model)
  }
}

/**
 * How many of the first components, which have the smallest eigenvalues, have a curvature sum_n h_n z_nk^2 of at most
 * `least`. Their part of the Hessian is left out: what a component of curvature d shares with any other is at most
 * sqrt(d / delta) of both.
 * @param h the largest of each row
 */
function negligible(coordinates: RealArray, h: Float64Array, rank: number, least: number): number {
  const sums = new Float64Array(rank)
  for (let n = 0, at = 0; n < h.length; n++) {
    for (let k = 0; k < rank; k++, at++) sums[k] += h[n] * coordinates[at] * coordinates[at]
  }
  const first = sums.findIndex(value => value > least)
  return first < 0 ? rank - 1 : first
}

/** The last columns of a matrix with `columns` of them: itself where these are all, else written to `result`. */
function lastColumns<T extends RealArray>(matrix: T, columns: number, kept: number, result: T): T {
  if (kept === columns) return matrix
  for (let at = columns - kept, to = 0; to < result.length; at += columns, to += kept) {
    result.set(matrix.subarray(at, at + kept), to)
  }
  return result
}

/** Of classes the mean over them is taken away, in place: softmax ignores it, and at the mode it is 0. */
function centre(weights: Float64Array, { outputs, likelihood }: LinearModel): Float64Array {
  if (likelihood.name !== 'classification') return weights
  const rank = weights.length / outputs
  const mean = new Float64Array(rank)
  for (let at = 0; at < weights.length; at += rank) for (let k = 0; k < rank; k++) mean[k] += weights[at + k] / outputs
  for (let at = 0; at < weights.length; at += rank) for (let k = 0; k < rank; k++) weights[at + k] -= mean[k]
  return weights
}
