/**
 * @file Curvature of the last linear layer f = W phi + b in closed form from its inputs phi: no Jacobian, no backward pass.
 * J_n = I kron phi' for W (class-major) and I for b, so that H = sum_n Lambda_n kron phi1 phi1' with phi1 = (phi, 1).
 */
import { gemm, syrk, type RealArray } from '../kernels/linear-algebra.js'
import { InternalError } from '../errors.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { LinearShape } from './accumulate.js'
import type { Curvature, FactoredJacobian, KronBlock, ParameterSlot } from './curvature.js'
import { addGram, addProduct } from './real.js'

/** Numbers of one block of packed products: it stays in the cache. */
const BLOCK_NUMBERS = 1 << 19

/**
 * The sizes of a last layer from its slots: the weight is the one of rank 2, the bias the one of rank 1.
 * @throws InternalError when the slots are not one weight, with or without a bias
 */
export function lastLayerShape(slots: readonly ParameterSlot[]): LinearShape {
  const weight = slots.findIndex(slot => slot.shape.length === 2)
  const bias = slots.findIndex(slot => slot.shape.length === 1)
  if (weight < 0 || slots.length !== (bias < 0 ? 1 : 2)) throw new InternalError(`A last layer has one weight and at most one bias; got ${slots.map(slot => slot.name).join(', ')}.`)
  const [out, inputs] = slots[weight].shape
  return { weight, bias, in: inputs, out }
}

/**
 * Adds a batch's last-layer curvature: features N x D, outputs f N x C. The arrays of `sum` are updated in place.
 */
export function accumulateLastLayer(sum: Curvature, slots: readonly ParameterSlot[], features: RealArray, f: RealArray, examples: number, likelihood: LikelihoodModel): Curvature {
  const layer = lastLayerShape(slots)
  switch (sum.structure) {
    case 'kron': return { ...sum, blocks: sum.blocks.map(block => addKronBlock(block, layer, features, likelihood.sumHessian(f, examples, layer.out), examples)) }
    case 'diag': addDiagonal(sum.diagonal, slots, layer, features, likelihood.hessianDiagonal(f, examples, layer.out), examples); return sum
    case 'full': addFull(sum, slots, layer, features, f, examples, likelihood); return sum
  }
}

/** The Jacobian of a last layer in factored form, with one-hot seeds: g is the identity. */
export function lastLayerJacobian(slots: readonly ParameterSlot[], features: RealArray, examples: number): FactoredJacobian {
  const layer = lastLayerShape(slots)
  const g = new Float64Array(layer.out * examples * layer.out)
  for (let c = 0; c < layer.out; c++) for (let n = 0; n < examples; n++) g[(c * examples + n) * layer.out + c] = 1
  return { seeds: layer.out, examples, factors: [{ kind: 'linear', ...layer, positions: 1, a: features, g }] }
}

/** Place in theta of each entry of a last layer's C x (D + 1) matrix (W, b); C x D when there is no bias. */
export function lastLayerIndices(slots: readonly ParameterSlot[]): Int32Array {
  const { weight, bias, in: inputs, out } = lastLayerShape(slots)
  const width = inputs + (bias < 0 ? 0 : 1)
  const indices = new Int32Array(out * width)
  for (let c = 0; c < out; c++) {
    for (let d = 0; d < inputs; d++) indices[c * width + d] = slots[weight].offset + c * inputs + d
    if (bias >= 0) indices[c * width + inputs] = slots[bias].offset + c
  }
  return indices
}

/** Features with a column of ones: N x (D + 1), float64; a plain copy in float64 when the layer has no bias. */
export function withOnes(features: RealArray, examples: number, inputs: number, bias: boolean): Float64Array {
  if (!bias) return Float64Array.from(features)
  const width = inputs + 1
  const result = new Float64Array(examples * width)
  for (let n = 0; n < examples; n++) {
    for (let d = 0; d < inputs; d++) result[n * width + d] = features[n * inputs + d]
    result[n * width + inputs] = 1
  }
  return result
}

function addKronBlock(block: KronBlock, layer: LinearShape, features: RealArray, lambda: Float64Array, examples: number): KronBlock {
  if (block.kind === 'diagonal') throw new InternalError('A last layer has no diagonal Kronecker block.')
  for (let i = 0; i < lambda.length; i++) block.B[i] += lambda[i]
  if (block.kind === 'dense') return block
  addGram(layer.in, examples, features, block.A)
  return { ...block, rows: block.rows + examples }
}

function addDiagonal(diagonal: Float64Array, slots: readonly ParameterSlot[], layer: LinearShape, features: RealArray, lambda: Float64Array, examples: number): void {
  const { in: inputs, out } = layer
  const squares = new Float64Array(examples * inputs)
  for (let i = 0; i < squares.length; i++) squares[i] = features[i] * features[i]
  const offset = slots[layer.weight].offset
  addProduct(out, inputs, examples, lambda, squares, diagonal.subarray(offset, offset + out * inputs))
  if (layer.bias < 0) return
  const at = slots[layer.bias].offset
  for (let n = 0; n < examples; n++) for (let c = 0; c < out; c++) diagonal[at + c] += lambda[n * out + c]
}

type FullCurvature = Extract<Curvature, { structure: 'full' }>

/** Adds sum_n Lambda_n kron phi1 phi1', scattered to the places of W and b in theta. */
function addFull(sum: FullCurvature, slots: readonly ParameterSlot[], layer: LinearShape, features: RealArray, f: RealArray, examples: number, likelihood: LikelihoodModel): void {
  const phi = withOnes(features, examples, layer.in, layer.bias >= 0)
  const width = phi.length / examples
  const indices = lastLayerIndices(slots)
  const { matrix, size } = sum
  const addBlock = (c: number, d: number, gram: (i: number, j: number) => number): void => {
    for (let i = 0; i < width; i++) {
      const row = indices[c * width + i] * size
      for (let j = 0; j < width; j++) matrix[row + indices[d * width + j]] += gram(i, j)
    }
  }
  if (likelihood.hessianPattern === 'dense') {
    const packed = weightedGrams(phi, width, pairWeights(f, examples, layer.out, likelihood), examples)
    const length = packedLength(width)
    for (let c = 0, pair = 0; c < layer.out; c++) {
      for (let d = c; d < layer.out; d++, pair++) {
        const base = pair * length
        const gram = (i: number, j: number): number => packed[base + packedIndex(width, Math.min(i, j), Math.max(i, j))]
        addBlock(c, d, gram)
        if (c !== d) addBlock(d, c, gram)
      }
    }
    return
  }
  const lambda = likelihood.hessianDiagonal(f, examples, layer.out)
  let gram: Float64Array = new Float64Array(width * width)
  for (let c = 0; c < layer.out; c++) {
    if (c === 0 || likelihood.hessianPattern === 'diagonal') gram = rootWeightedGram(phi, width, lambda, c, layer.out, examples)
    const block = gram
    addBlock(c, c, (i, j) => block[i * width + j])
  }
}

/** sum_n lambda[n, c] phi phi' for weights that are not negative. */
function rootWeightedGram(phi: Float64Array, width: number, lambda: Float64Array, c: number, outputs: number, examples: number): Float64Array {
  const scaled = new Float64Array(phi.length)
  for (let n = 0; n < examples; n++) {
    const root = Math.sqrt(lambda[n * outputs + c])
    for (let i = n * width; i < (n + 1) * width; i++) scaled[i] = root * phi[i]
  }
  const gram = new Float64Array(width * width)
  syrk(width, examples, 1, scaled, 0, gram)
  return gram
}

/** Entries of the upper triangle of a width x width matrix, row by row. */
export function packedLength(width: number): number {
  return width * (width + 1) / 2
}

function packedIndex(width: number, row: number, column: number): number {
  return row * width - row * (row - 1) / 2 + column - row
}

/** Lambda_n's entries (c, d) with c <= d: N x pairs. */
function pairWeights(f: RealArray, examples: number, outputs: number, likelihood: LikelihoodModel): Float64Array {
  const pairs = packedLength(outputs)
  const weights = new Float64Array(examples * pairs)
  for (let n = 0, at = 0; n < examples; n++) {
    const lambda = likelihood.hessian(f, n, outputs)
    for (let c = 0; c < outputs; c++) for (let d = c; d < outputs; d++) weights[at++] = lambda[c * outputs + d]
  }
  return weights
}

/** The products phi_i phi_j, i <= j, of `count` rows from row `from`: count x packedLength(width). */
export function packedProducts(phi: Float64Array, width: number, from: number, count: number): Float64Array {
  const products = new Float64Array(count * packedLength(width))
  for (let n = 0, at = 0; n < count; n++) {
    const row = (from + n) * width
    for (let i = 0; i < width; i++) {
      const left = phi[row + i]
      for (let j = i; j < width; j++) products[at++] = left * phi[row + j]
    }
  }
  return products
}

/** Rows of packed products that fit one block. */
export function packedRows(width: number): number {
  return Math.max(1, Math.floor(BLOCK_NUMBERS / packedLength(width)))
}

/**
 * For every pair of outputs the weighted Gram matrix of phi, packed: pairs x packedLength(width).
 * One product of the pair weights with the packed products of phi does half the work of a Gram matrix per pair.
 */
function weightedGrams(phi: Float64Array, width: number, weights: Float64Array, examples: number): Float64Array {
  const length = packedLength(width)
  const pairs = weights.length / examples
  const result = new Float64Array(pairs * length)
  const step = packedRows(width)
  for (let from = 0; from < examples; from += step) {
    const count = Math.min(step, examples - from)
    gemm(true, false, pairs, length, count, 1, weights.subarray(from * pairs, (from + count) * pairs), packedProducts(phi, width, from, count), 1, result)
  }
  return result
}
