/**
 * @file Sums over the weights of dense layers without positions, J_n = (g_n kron a_n) layer by layer: H = sum_n J'
 * Lambda J has for two layers the block sum_n (g' Lambda g) kron (a a'), so that one product of packed pairs gives it
 * at the cost of one output; and J_n M J_n' is the transposed product. Writing J out would cost C times as much.
 */
import { gemm } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { exampleMajor } from './jacobian-products.js'
import { type ParameterUses, usesByParameter } from './jacobian.js'
import { withOnes } from './last-layer.js'

/** One dense layer: z = W a + b as (W, b) (a, 1). */
export interface PlainLayer {
  readonly out: number
  /** Inputs, and 1 more with a bias. */
  readonly width: number
  /** N x width, with the column of ones. */
  readonly inputs: Float64Array
  /** N x C x out. */
  readonly gradients: Float64Array
  /** Index in theta of every entry of (W, b), out x width. */
  readonly indices: Int32Array
}

/** Numbers of one block of packed pairs. */
const BLOCK_NUMBERS = 1 << 22

/** The layers of a Jacobian; undefined where a weight is used twice, at positions, or outside of a layer. */
export function plainLayers(slots: readonly ParameterSlot[], jacobian: FactoredJacobian): PlainLayer[] | undefined {
  if (slots.some(({ elements }) => elements !== undefined)) return undefined
  const uses = usesByParameter(slots, jacobian)
  const layers: PlainLayer[] = []
  let covered = 0
  for (const factor of jacobian.factors) {
    if (factor.kind === 'direct' || factor.positions !== 1) return undefined
    const { weight, bias } = factor
    if (weight < 0 || !usedOnce(uses[weight]) || (bias >= 0 && !usedOnce(uses[bias]))) return undefined
    layers.push(layerOf(factor, slots, jacobian))
    covered += bias < 0 ? 1 : 2
  }
  return covered === slots.length ? layers : undefined
}

function usedOnce({ asWeight, asBias, direct }: ParameterUses): boolean {
  return asWeight.length + asBias.length + direct.length === 1
}

function layerOf({ a, g, in: inputs, out, weight, bias }: LinearFactor, slots: readonly ParameterSlot[],
  { examples, seeds }: FactoredJacobian): PlainLayer {
  const width = inputs + (bias < 0 ? 0 : 1)
  const indices = new Int32Array(out * width)
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inputs; i++) indices[o * width + i] = slots[weight].offset + o * inputs + i
    if (bias >= 0) indices[o * width + inputs] = slots[bias].offset + o
  }
  return { out, width, indices, inputs: withOnes(a, examples, inputs, bias >= 0),
    gradients: exampleMajor(g, seeds, examples, out) }
}

/** The pairs of two ranges: all of them, or, of one range with itself, those with i <= j. */
interface Pairs {
  readonly count: number
  /** Calls for every pair, in order. */
  each(visit: (i: number, j: number, at: number) => void): void
}

function pairsOf(rows: number, columns: number, symmetric: boolean): Pairs {
  return {
    count: symmetric ? rows * (rows + 1) / 2 : rows * columns,
    each(visit) {
      for (let i = 0, at = 0; i < rows; i++) for (let j = symmetric ? i : 0; j < columns; j++) visit(i, j, at++)
    },
  }
}

/** The products x_i y_j of the pairs of every row. */
function pairProducts(x: Float64Array, y: Float64Array, rows: number, symmetric: boolean, count: number): Float64Array {
  const [wide, tall] = [x.length / rows, y.length / rows]
  const result = new Float64Array(rows * count)
  for (let n = 0, at = 0; n < rows; n++) {
    for (let i = 0; i < wide; i++) {
      const value = x[n * wide + i]
      for (let j = symmetric ? i : 0; j < tall; j++) result[at++] = value * y[n * tall + j]
    }
  }
  return result
}

/** Every pair of layers once, with the pairs of their outputs and of their inputs. */
function eachBlock(layers: readonly PlainLayer[],
  visit: (one: PlainLayer, other: PlainLayer, outer: Pairs, inner: Pairs, symmetric: boolean) => void): void {
  layers.forEach((one, l) => {
    layers.slice(l).forEach((other, k) => {
      const symmetric = k === 0
      visit(one, other, pairsOf(one.out, other.out, symmetric), pairsOf(one.width, other.width, symmetric), symmetric)
    })
  })
}

/** Examples of one block. */
function stepFor(outer: Pairs, inner: Pairs): number {
  return Math.max(1, Math.floor(BLOCK_NUMBERS / (outer.count + inner.count)))
}

/**
 * sum_n J_n' R_n R_n' J_n, P x P.
 * @param roots N x C x K
 */
export function layeredHessian(layers: readonly PlainLayer[], { examples, seeds }: FactoredJacobian,
  roots: Float64Array, rank: number, size: number): Float64Array {
  const matrix = new Float64Array(size * size)
  const mixed = new Map(layers.map(layer => [layer, mixedGradients(layer, examples, seeds, roots, rank)]))
  eachBlock(layers, (one, other, outer, inner, symmetric) => {
    const sum = new Float64Array(outer.count * inner.count)
    const step = stepFor(outer, inner)
    const [g, h] = [mixed.get(one) ?? new Float64Array(0), mixed.get(other) ?? new Float64Array(0)]
    for (let from = 0; from < examples; from += step) {
      const to = Math.min(examples, from + step)
      const left = outputProducts(g, h, one.out, other.out, rank, from, to, symmetric, outer.count)
      const right = pairProducts(part(one.inputs, one.width, from, to), part(other.inputs, other.width, from, to),
        to - from, symmetric, inner.count)
      gemm(true, false, outer.count, inner.count, to - from, 1, left, right, 1, sum)
    }
    scatter(matrix, size, one, other, outer, inner, sum)
  })
  return matrix
}

function part(values: Float64Array, width: number, from: number, to: number): Float64Array {
  return values.subarray(from * width, to * width)
}

/** R_n' g_n of every example: N x K x out. */
function mixedGradients({ gradients, out }: PlainLayer, examples: number, seeds: number, roots: Float64Array,
  rank: number): Float64Array {
  const result = new Float64Array(examples * rank * out)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < seeds; c++) {
      for (let k = 0; k < rank; k++) {
        const root = roots[(n * seeds + c) * rank + k]
        if (root === 0) continue
        const [to, from] = [(n * rank + k) * out, (n * seeds + c) * out]
        for (let o = 0; o < out; o++) result[to + o] += root * gradients[from + o]
      }
    }
  }
  return result
}

/** The pairs of g_n' h_n for the examples `from` to `to`, g of N x K x out. */
function outputProducts(g: Float64Array, h: Float64Array, rows: number, columns: number, rank: number, from: number,
  to: number, symmetric: boolean, count: number): Float64Array {
  const result = new Float64Array((to - from) * count)
  for (let n = from; n < to; n++) {
    for (let k = 0; k < rank; k++) {
      let at = (n - from) * count
      const [left, right] = [(n * rank + k) * rows, (n * rank + k) * columns]
      for (let i = 0; i < rows; i++) {
        const value = g[left + i]
        for (let j = symmetric ? i : 0; j < columns; j++) result[at++] += value * h[right + j]
      }
    }
  }
  return result
}

/** Writes a block of packed sums to the entries of both layers' weights. */
function scatter(matrix: Float64Array, size: number, one: PlainLayer, other: PlainLayer, outer: Pairs, inner: Pairs,
  sum: Float64Array): void {
  const put = (row: number, column: number, value: number): void => {
    matrix[row * size + column] = matrix[column * size + row] = value
  }
  outer.each((o, p, row) => {
    inner.each((i, j, column) => {
      const value = sum[row * inner.count + column]
      put(one.indices[o * one.width + i], other.indices[p * other.width + j], value)
      // Of one layer with itself only pairs in order were summed: the exchanged inputs belong to the same outputs.
      if (one === other) put(one.indices[o * one.width + j], other.indices[p * other.width + i], value)
    })
  })
}

/**
 * J_n M J_n' of every example for a symmetric M of P x P: N x C x C.
 */
export function layeredBlocks(layers: readonly PlainLayer[], { examples, seeds }: FactoredJacobian,
  matrix: Float64Array): Float64Array {
  const size = Math.sqrt(matrix.length)
  const result = new Float64Array(examples * seeds * seeds)
  eachBlock(layers, (one, other, outer, inner, symmetric) => {
    const packed = gathered(matrix, size, one, other, outer, inner)
    const step = stepFor(outer, inner)
    for (let from = 0; from < examples; from += step) {
      const to = Math.min(examples, from + step)
      const pairs = pairProducts(part(one.inputs, one.width, from, to), part(other.inputs, other.width, from, to),
        to - from, symmetric, inner.count)
      const forms = new Float64Array((to - from) * outer.count)
      gemm(false, false, to - from, outer.count, inner.count, 1, pairs, packed, 0, forms)
      for (let n = from; n < to; n++) {
        addOutputForms(result, seeds, n, one, other, symmetric, forms.subarray((n - from) * outer.count))
      }
    }
  })
  return result
}

/** What every pair of inputs (rows) contributes to every pair of outputs (columns): a' M a = sum_ij a_i a_j M_ij. */
function gathered(matrix: Float64Array, size: number, one: PlainLayer, other: PlainLayer, outer: Pairs,
  inner: Pairs): Float64Array {
  const packed = new Float64Array(inner.count * outer.count)
  const entry = (o: number, i: number, p: number, j: number): number =>
    matrix[one.indices[o * one.width + i] * size + other.indices[p * other.width + j]]
  outer.each((o, p, column) => {
    inner.each((i, j, row) => {
      const value = entry(o, i, p, j)
      packed[row * outer.count + column] = one === other && i !== j ? value + entry(o, j, p, i) : value
    })
  })
  return packed
}

/** Adds g T h' of one example, and its transpose where the layers differ. */
function addOutputForms(result: Float64Array, seeds: number, n: number, one: PlainLayer, other: PlainLayer,
  symmetric: boolean, forms: Float64Array): void {
  const image = new Float64Array(seeds * other.out)
  const g = part(one.gradients, seeds * one.out, n, n + 1)
  for (let o = 0, at = 0; o < one.out; o++) {
    for (let p = symmetric ? o : 0; p < other.out; p++, at++) {
      const value = forms[at]
      for (let c = 0; c < seeds; c++) {
        image[c * other.out + p] += g[c * one.out + o] * value
        if (symmetric && o !== p) image[c * other.out + o] += g[c * one.out + p] * value
      }
    }
  }
  const h = part(other.gradients, seeds * other.out, n, n + 1)
  for (let c = 0; c < seeds; c++) {
    for (let d = 0; d < seeds; d++) {
      let sum = 0
      for (let p = 0; p < other.out; p++) sum += image[c * other.out + p] * h[d * other.out + p]
      result[(n * seeds + c) * seeds + d] += sum
      if (!symmetric) result[(n * seeds + d) * seeds + c] += sum
    }
  }
}
