/**
 * @file Curvature of the last linear layer f = W phi + b in closed form from its inputs phi: no Jacobian, no backward
 * pass. J_n = I kron phi' for W (class-major) and I for b, so that H = sum_n Lambda_n kron phi1 phi1' with phi1 = (phi,
 * 1).
 */
import { InternalError } from '../errors/errors.js'
import { arenaArray, arenaScope, beginArena } from '../kernels/arena.js'
import { gemm, packedLength, type RealArray, syrk } from '../kernels/linear-algebra.js'
import { copyWalk } from '../kernels/walk.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { lastLayerShape, type LinearShape } from '../network/linear-shape.js'
import { slotsOfBlock } from '../network/parameter-blocks.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import type { Curvature, KronBlock } from './curvature.js'
import { addInputs } from './kron.js'
import { eachPackedRows } from './packed-rows.js'
import { addProduct, asFloat64 } from './real.js'

/** Rows whose outputs are computed at once: more make no product faster. */
const ROWS_AT_ONCE = 512

/**
 * Adds a batch's last-layer curvature: features N x D, outputs f N x C. The arrays of `sum` are updated in place.
 * @param features of Kronecker factors multiplied in their own precision: in float32 twice as fast, to seven digits of
 * the largest eigenvalue
 * @param likelihood of these rows, which has their weights
 * @param weights the weights once more, where there are any, for the inputs of Kronecker factors
 */
export function accumulateLastLayer(sum: Curvature, slots: readonly ParameterSlot[], features: RealArray, f: RealArray,
  examples: number, likelihood: LikelihoodModel, weights?: Float64Array): Curvature {
  const layer = lastLayerShape(slots)
  switch (sum.structure) {
    case 'kron': {
      const lambda = likelihood.sumHessian(asFloat64(f), examples, layer.out)
      return { ...sum, blocks: sum.blocks.map(block => addKronBlock(block, features, lambda, weights)) }
    }
    case 'diag':
      addDiagonal(sum.diagonal, slots, layer, features, likelihood.hessianDiagonal(asFloat64(f), examples, layer.out),
        examples)
      return sum
    case 'full':
      addFull(sum, slots, layer, features, f, examples, likelihood)
      return sum
    case 'blockdiag':
      for (const { slots: own, matrix } of sum.blocks) {
        addFull({ matrix, size: Math.sqrt(matrix.length) }, slotsOfBlock(slots, own), layer, features, f, examples,
          likelihood)
      }
      return sum
  }
}

/** The Jacobian of a last layer in factored form, with one-hot seeds: g is the identity. */
export function lastLayerJacobian(slots: readonly ParameterSlot[], features: RealArray,
  examples: number): FactoredJacobian {
  const layer = lastLayerShape(slots)
  const g = new Float64Array(layer.out * examples * layer.out)
  for (let c = 0; c < layer.out; c++) for (let n = 0; n < examples; n++) g[(c * examples + n) * layer.out + c] = 1
  return { seeds: layer.out, examples, factors: [{ kind: 'linear', ...layer, positions: 1, a: features, g }] }
}

/** Index in theta of each entry of a last layer's C x (D + 1) matrix (W, b); C x D when there is no bias. */
export function lastLayerIndices(slots: readonly ParameterSlot[]): Int32Array {
  return layerIndices(slots, lastLayerShape(slots))
}

/** The same of some of the layer's tensors: without the columns of W, or of b, where it is not among them. */
function layerIndices(slots: readonly ParameterSlot[], { in: inputs, out }: LinearShape): Int32Array {
  const [weight, bias] = tensorsOf(slots)
  const columns = weight === undefined ? 0 : inputs
  const width = columns + (bias === undefined ? 0 : 1)
  const indices = new Int32Array(out * width)
  for (let c = 0; c < out; c++) {
    if (weight !== undefined) {
      for (let d = 0; d < inputs; d++) indices[c * width + d] = weight.offset + c * inputs + d
    }
    if (bias !== undefined) indices[c * width + columns] = bias.offset + c
  }
  return indices
}

/** Weight and bias of a last layer, by their shapes. */
function tensorsOf(slots: readonly ParameterSlot[]): [ParameterSlot | undefined, ParameterSlot | undefined] {
  return [slots.find(({ shape }) => shape.length === 2), slots.find(({ shape }) => shape.length === 1)]
}

/** Features with a column of ones when the layer has a bias: N x (D + 1), else N x D, float64. */
export function withOnes(features: RealArray, examples: number, inputs: number, bias: boolean,
  allocate = (length: number): Float64Array => new Float64Array(length)): Float64Array {
  const result = allocate(examples * (inputs + Number(bias)))
  result.set(features)
  if (bias) makeRoomForOnes(result, examples, inputs)
  return result
}

/** The same in the arena. */
export function arenaWithOnes(features: RealArray, examples: number, inputs: number, bias: boolean): Float64Array {
  const width = inputs + Number(bias)
  const result = arenaArray(new Float64Array(0), examples * width)
  if (!bias || examples === 0) {
    result.set(features)
    return result
  }
  return arenaScope(() => {
    // Rows that overlap by one number: what follows a row is read with it, and overwritten.
    const plain = arenaArray(result, features.length + 1)
    plain.set(features)
    if (!copyWalk(plain, 0, [1, 1, examples, width], [0, 0, inputs, 1], result)) {
      result.set(features)
      makeRoomForOnes(result, examples, inputs)
    } else for (let at = inputs; at < result.length; at += width) result[at] = 1
    return result
  })
}

/** From the last row on, each moves to its place: copies of whole rows, which need no compiled loop to be fast. */
function makeRoomForOnes(result: Float64Array, examples: number, inputs: number): void {
  const width = inputs + 1
  for (let n = examples - 1; n > 0; n--) {
    result.copyWithin(n * width, n * inputs, (n + 1) * inputs)
    result[n * width + inputs] = 1
  }
  if (examples > 0) result[inputs] = 1
}

function addKronBlock(block: KronBlock, features: RealArray, lambda: Float64Array,
  weights: Float64Array | undefined): KronBlock {
  if (block.kind === 'diagonal' || block.kind === 'grouped') {
    throw new InternalError(`A last layer has no Kronecker block of kind ${block.kind}.`)
  }
  for (let i = 0; i < lambda.length; i++) block.B[i] += lambda[i]
  if (block.kind === 'dense') return block
  return { ...block, rows: block.rows + addInputs(block, features, weights) }
}

function addDiagonal(diagonal: Float64Array, slots: readonly ParameterSlot[], layer: LinearShape, features: RealArray,
  lambda: Float64Array, examples: number): void {
  const { in: inputs, out } = layer
  const squares = new Float64Array(examples * inputs)
  for (let i = 0; i < squares.length; i++) squares[i] = features[i] * features[i]
  const offset = slots[layer.weight].offset
  addProduct(out, inputs, examples, lambda, squares, diagonal.subarray(offset, offset + out * inputs))
  if (layer.bias < 0) return
  const at = slots[layer.bias].offset
  for (let n = 0; n < examples; n++) for (let c = 0; c < out; c++) diagonal[at + c] += lambda[n * out + c]
}

/** A symmetric matrix, size x size. */
interface DenseSum {
  readonly size: number
  readonly matrix: Float64Array
}

/** Adds sum_n Lambda_n kron phi1 phi1', scattered to the entries of W and b, or of the one that the slots have. */
function addFull(sum: DenseSum, slots: readonly ParameterSlot[], layer: LinearShape, features: RealArray, f: RealArray,
  examples: number, likelihood: LikelihoodModel): void {
  // Float32 weights and products would be off by 1e-7 of the largest, which is all of a direction that the data
  // hardly see.
  const [weight, bias] = tensorsOf(slots)
  const phi = weight === undefined
    ? new Float64Array(examples).fill(1)
    : withOnes(features, examples, layer.in, bias !== undefined)
  const indices = layerIndices(slots, layer)
  const pairs = likelihood.hessianPairs?.(asFloat64(f), examples, layer.out)
  if (pairs !== undefined) addPairBlocks(sum, indices, layer.out, weightedGrams(phi, examples, pairs))
  else {addDiagonalBlocks(sum, indices, layer.out, phi, examples,
      likelihood.hessianDiagonal(asFloat64(f), examples, layer.out), likelihood.hessianPattern === 'identity')}
}

/** Adds the packed symmetric blocks of the pairs (c, d), c <= d, of outputs; that of (d, c) is the same. */
function addPairBlocks(sum: DenseSum, indices: Int32Array, outputs: number, packed: Float64Array): void {
  const width = indices.length / outputs
  const gram = new Float64Array(width * width)
  let at = 0
  for (let c = 0; c < outputs; c++) {
    // In the order of `hessianPairs`, and entries in that of `packedProducts`: other orders of equal length would
    // exchange blocks of H.
    for (let d = c; d < outputs; d++) {
      for (let i = 0; i < width; i++) {
        for (let j = i; j < width; j++) gram[i * width + j] = gram[j * width + i] = packed[at++]
      }
      addBlock(sum, indices, width, c, d, gram)
      if (c !== d) addBlock(sum, indices, width, d, c, gram)
    }
  }
}

/** Adds sum_n lambda_nc phi1 phi1' to the block of every output; one matrix serves all of them where lambda is 1. */
function addDiagonalBlocks(sum: DenseSum, indices: Int32Array, outputs: number, phi: RealArray, examples: number,
  lambda: Float64Array, identity: boolean): void {
  const width = indices.length / outputs
  let gram: Float64Array = new Float64Array(0)
  for (let c = 0; c < outputs; c++) {
    if (c === 0 || !identity) gram = rootWeightedGram(phi, width, lambda, c, outputs, examples)
    addBlock(sum, indices, width, c, c, gram)
  }
}

/** Adds to the block of the outputs c and d. */
function addBlock({ matrix, size }: DenseSum, indices: Int32Array, width: number, c: number, d: number,
  gram: Float64Array): void {
  for (let i = 0; i < width; i++) {
    const row = indices[c * width + i] * size
    for (let j = 0; j < width; j++) matrix[row + indices[d * width + j]] += gram[i * width + j]
  }
}

/** sum_n lambda[n, c] phi phi' for weights that are not negative. */
function rootWeightedGram(phi: RealArray, width: number, lambda: Float64Array, c: number, outputs: number,
  examples: number): Float64Array {
  const scaled = phi.slice()
  for (let n = 0; n < examples; n++) {
    const root = Math.sqrt(lambda[n * outputs + c])
    for (let i = n * width; i < (n + 1) * width; i++) scaled[i] *= root
  }
  const gram = new Float64Array(width * width)
  syrk(width, examples, 1, scaled, 0, gram)
  return gram
}

/**
 * For every pair of outputs the weighted Gram matrix of phi, packed: pairs x packedLength(width).
 * One product of the pair weights with the packed products of phi does half the work of a Gram matrix per pair.
 */
function weightedGrams(phi: RealArray, examples: number, weights: RealArray): Float64Array {
  const width = phi.length / examples
  const length = packedLength(width)
  const pairs = weights.length / examples
  beginArena()
  // The arena holds older numbers: without `fill` they would be added to H, though not where the heap gives zeros.
  const result = arenaArray(new Float64Array(0), pairs * length).fill(0)
  eachPackedRows(width, phi, examples, (part, from, count) => {
    gemm(true, false, pairs, length, count, 1, weights.subarray(from * pairs, (from + count) * pairs), part, 1, result)
  })
  return result
}

/** The change of the outputs f = W phi + b under a change of the weights (in theta's order): N x C from phi, N x D. */
export function lastLayerTimes(slots: readonly ParameterSlot[], features: RealArray, examples: number,
  change: Float64Array): Float64Array {
  const { bias, in: inputs, out } = lastLayerShape(slots)
  const indices = lastLayerIndices(slots)
  const matrix = new Float64Array(indices.length)
  for (let i = 0; i < matrix.length; i++) matrix[i] = change[indices[i]]
  const result = new Float64Array(examples * out)
  for (let from = 0; from < examples; from += ROWS_AT_ONCE) {
    const rows = Math.min(ROWS_AT_ONCE, examples - from)
    const phi = withOnes(features.subarray(from * inputs, (from + rows) * inputs), rows, inputs, bias >= 0)
    gemm(false, true, rows, out, matrix.length / out, 1, phi, matrix, 0,
      result.subarray(from * out, (from + rows) * out))
  }
  return result
}
