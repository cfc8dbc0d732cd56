/**
 * @file Products with the Jacobian of a batch that stays factored: J V', A' J, and the Gram matrices J J' of the linear
 * model in function space. Of a linear operator without positions the Gram matrix is (a a') * (g g'), element by
 * element, so that neither J nor anything of its size is formed.
 */
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import type { DirectFactor, FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { parameterJacobian, type ParameterUses, usesByParameter } from './jacobian.js'
import { mirrorLower } from './mirror.js'
import { asFloat64 } from './real.js'

/** Numbers of one block of intermediate results. */
const BLOCK_NUMBERS = 1 << 22

/** Several vectors over the parameters, tensor by tensor: `count` x size of each slot, row-major. */
export interface ParameterVectors<Values extends RealArray = Float64Array> {
  readonly count: number
  readonly bySlot: readonly Values[]
}

/** Zero vectors over the parameters of the slots. */
export function zeroVectors(slots: readonly ParameterSlot[], count: number): ParameterVectors {
  return { count, bySlot: slots.map(({ size }) => new Float64Array(count * size)) }
}

/** The rows of a count x P matrix, tensor by tensor; elements of a tensor that take no part are zero. */
export function splitVectors<Values extends RealArray>(slots: readonly ParameterSlot[], rows: Values,
  count: number): ParameterVectors<Values> {
  const total = parameterCount(slots)
  const bySlot = slots.map(({ offset, size, elements, shape }) => {
    if (elements !== undefined) {
      const width = shape.reduce((product, extent) => product * extent, 1)
      const whole =
        (rows instanceof Float32Array ? new Float32Array(count * width) : new Float64Array(count * width)) as Values
      for (let k = 0; k < count; k++) {
        elements.forEach((element, e) => {
          whole[k * width + element] = rows[k * total + offset + e]
        })
      }
      return whole
    }
    const part = rows.slice(0, count * size) as Values
    for (let k = 0; k < count; k++) part.set(rows.subarray(k * total + offset, k * total + offset + size), k * size)
    return part
  })
  return { count, bySlot }
}

/** The vectors as the rows of a count x P matrix. */
export function joinVectors(slots: readonly ParameterSlot[], { count, bySlot }: ParameterVectors): Float64Array {
  const total = parameterCount(slots)
  const rows = new Float64Array(count * total)
  slots.forEach(({ offset, size }, i) => {
    for (let k = 0; k < count; k++) rows.set(bySlot[i].subarray(k * size, (k + 1) * size), k * total + offset)
  })
  return rows
}

/** Seeds x N x width as N x seeds x width, float64. */
export function exampleMajor(values: RealArray, seeds: number, examples: number, width: number): Float64Array {
  const result = new Float64Array(values.length)
  for (let k = 0; k < seeds; k++) {
    for (let n = 0; n < examples; n++) {
      result.set(values.subarray((k * examples + n) * width, (k * examples + n + 1) * width), (n * seeds + k) * width)
    }
  }
  return result
}

/** The output gradients of a factor summed over its positions: N x seeds x out. */
function summedGradients({ g, positions, out }: LinearFactor, seeds: number, examples: number): Float64Array {
  const rows = exampleMajor(g, seeds, examples, positions * out)
  if (positions === 1) return rows
  const sum = new Float64Array(seeds * examples * out)
  for (let row = 0; row < seeds * examples; row++) {
    for (let t = 0; t < positions; t++) {
      for (let o = 0; o < out; o++) sum[row * out + o] += rows[(row * positions + t) * out + o]
    }
  }
  return sum
}

/** The output gradients of example n at position t, seeds x out. */
function gradientsAt({ g, positions, out }: LinearFactor, { seeds, examples }: FactoredJacobian, n: number, t: number,
  into: RealArray): void {
  for (let k = 0; k < seeds; k++) {
    const at = ((k * examples + n) * positions + t) * out
    for (let o = 0; o < out; o++) into[k * out + o] = g[at + o]
  }
}

/** The numbers in the precision of others; no copy when they are already. */
function inPrecisionOf(like: RealArray, values: RealArray): RealArray {
  if (like instanceof Float64Array) return asFloat64(values)
  return values instanceof Float32Array ? values : Float32Array.from(values)
}

/** Zeros in the precision of others. */
function zerosLike(like: RealArray, length: number): RealArray {
  return like instanceof Float64Array ? new Float64Array(length) : new Float32Array(length)
}

/** J V' for the rows of V: N x seeds x count. In float32 where the vectors are, which is twice as fast. */
export function jacobianTimes(jacobian: FactoredJacobian, vectors: ParameterVectors<RealArray>): Float64Array {
  const result = new Float64Array(jacobian.examples * jacobian.seeds * vectors.count)
  for (const factor of jacobian.factors) {
    if (factor.kind === 'direct') addDirectProduct(result, factor, jacobian, vectors)
    else {
      if (factor.weight >= 0) addWeightProduct(result, factor, jacobian, vectors)
      if (factor.bias >= 0) addBiasProduct(result, factor, jacobian, vectors)
    }
  }
  return result
}

/** Whether rows of J, sums over positions, are fewer than the images of all vectors at every position. */
function writesRows({ positions }: LinearFactor, seeds: number, count: number): boolean {
  return positions > 1 && seeds * (positions + count) < positions * count
}

/** The rows of a weight's Jacobian, (N seeds) x (out in), some examples at a time, in the precision of others. */
function eachWeightRows(factor: LinearFactor, { seeds, examples }: FactoredJacobian, like: RealArray,
  visit: (rows: RealArray, from: number, to: number) => void): void {
  const { in: inputs, out, positions } = factor
  const [a, g] = [inPrecisionOf(like, factor.a), inPrecisionOf(like, factor.g)]
  const size = inputs * out
  const step = Math.max(1, Math.min(examples, Math.floor(BLOCK_NUMBERS / (seeds * size))))
  const rows = zerosLike(like, step * seeds * size)
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    for (let n = from; n < to; n++) {
      const own = a.subarray(n * positions * inputs, (n + 1) * positions * inputs)
      for (let k = 0; k < seeds; k++) {
        const at = (k * examples + n) * positions * out
        const row = ((n - from) * seeds + k) * size
        gemm(true, false, out, inputs, positions, 1, g.subarray(at, at + positions * out), own, 0,
          rows.subarray(row, row + size))
      }
    }
    visit(rows.subarray(0, (to - from) * seeds * size), from, to)
  }
}

function addWeightProduct(result: Float64Array, factor: LinearFactor, jacobian: FactoredJacobian,
  { count, bySlot }: ParameterVectors<RealArray>): void {
  const { seeds, examples } = jacobian
  const { in: inputs, out, positions } = factor
  const own = bySlot[factor.weight]
  if (writesRows(factor, seeds, count)) {
    return eachWeightRows(factor, jacobian, own, (rows, from, to) => {
      const target = result.subarray(from * seeds * count, to * seeds * count)
      gemm(false, true, (to - from) * seeds, count, inputs * out, 1, rows, own, 1, target)
    })
  }
  const g = zerosLike(own, seeds * out)
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (positions * count * out)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = (to - from) * positions
    const a = inPrecisionOf(own, factor.a.subarray(from * positions * inputs, to * positions * inputs))
    // Row (n, t) holds V_k a for every vector k, one after another.
    const images = zerosLike(own, rows * count * out)
    gemm(false, true, rows, count * out, inputs, 1, a, own, 0, images)
    for (let row = 0; row < rows; row++) {
      const n = from + Math.floor(row / positions)
      gradientsAt(factor, jacobian, n, row % positions, g)
      const target = result.subarray(n * seeds * count, (n + 1) * seeds * count)
      gemm(false, true, seeds, count, out, 1, g, images.subarray(row * count * out, (row + 1) * count * out), 1, target)
    }
  }
}

function addBiasProduct(result: Float64Array, factor: LinearFactor, { seeds, examples }: FactoredJacobian,
  { count, bySlot }: ParameterVectors<RealArray>): void {
  const g = summedGradients(factor, seeds, examples)
  gemm(false, true, examples * seeds, count, factor.out, 1, g, asFloat64(bySlot[factor.bias]), 1, result)
}

function addDirectProduct(result: Float64Array, { parameter, gradient }: DirectFactor,
  { seeds, examples }: FactoredJacobian, { count, bySlot }: ParameterVectors<RealArray>): void {
  const size = gradient.length / (seeds * examples)
  const rows = exampleMajor(gradient, seeds, examples, size)
  gemm(false, true, examples * seeds, count, size, 1, rows, asFloat64(bySlot[parameter]), 1, result)
}

/** Adds A' J to the vectors, for A of N x seeds x count. Products are in float32 where A is, and added in float64. */
export function addTransposedProduct(vectors: ParameterVectors, jacobian: FactoredJacobian, a: RealArray): void {
  for (const factor of jacobian.factors) {
    if (factor.kind === 'direct') addDirectTransposed(vectors, factor, jacobian, a)
    else {
      if (factor.weight >= 0) addWeightTransposed(vectors, factor, jacobian, a)
      if (factor.bias >= 0) addBiasTransposed(vectors, factor, jacobian, a)
    }
  }
}

function addWeightTransposed({ count, bySlot }: ParameterVectors, factor: LinearFactor, jacobian: FactoredJacobian,
  coefficients: RealArray): void {
  const { seeds, examples } = jacobian
  const { in: inputs, out, positions } = factor
  if (writesRows(factor, seeds, count)) {
    return eachWeightRows(factor, jacobian, coefficients, (rows, from, to) => {
      const own = coefficients.subarray(from * seeds * count, to * seeds * count)
      gemm(true, false, count, inputs * out, (to - from) * seeds, 1, own, rows, 1, bySlot[factor.weight])
    })
  }
  const g = zerosLike(coefficients, seeds * out)
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (positions * count * out)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = (to - from) * positions
    const a = inPrecisionOf(coefficients, factor.a.subarray(from * positions * inputs, to * positions * inputs))
    const mixed = zerosLike(coefficients, rows * count * out)
    for (let row = 0; row < rows; row++) {
      const n = from + Math.floor(row / positions)
      gradientsAt(factor, jacobian, n, row % positions, g)
      const own = coefficients.subarray(n * seeds * count, (n + 1) * seeds * count)
      gemm(true, false, count, out, seeds, 1, own, g, 0, mixed.subarray(row * count * out, (row + 1) * count * out))
    }
    gemm(true, false, count * out, inputs, rows, 1, mixed, a, 1, bySlot[factor.weight])
  }
}

function addBiasTransposed({ count, bySlot }: ParameterVectors, factor: LinearFactor,
  { seeds, examples }: FactoredJacobian, coefficients: RealArray): void {
  const g = summedGradients(factor, seeds, examples)
  gemm(true, false, count, factor.out, examples * seeds, 1, asFloat64(coefficients), g, 1, bySlot[factor.bias])
}

function addDirectTransposed({ count, bySlot }: ParameterVectors, { parameter, gradient }: DirectFactor,
  { seeds, examples }: FactoredJacobian, coefficients: RealArray): void {
  const size = gradient.length / (seeds * examples)
  const rows = exampleMajor(gradient, seeds, examples, size)
  gemm(true, false, count, size, examples * seeds, 1, asFloat64(coefficients), rows, 1, bySlot[parameter])
}

/** J1 J2' of two batches: (N seeds) x (M seeds), example by example. */
export function jacobianGram(slots: readonly ParameterSlot[], one: FactoredJacobian,
  other: FactoredJacobian): Float64Array {
  const columns = other.examples * other.seeds
  const gram = new Float64Array(one.examples * one.seeds * columns)
  const [uses, others] = [usesByParameter(slots, one), usesByParameter(slots, other)]
  const done = new Set<number>()
  uses.forEach((own, i) => {
    const [left, right] = [plainWeight(own), plainWeight(others[i])]
    if (left === undefined || right === undefined) return
    const bias = left.bias >= 0 && onlyBias(uses[left.bias]) && onlyBias(others[left.bias])
    addPlainGram(gram, left, one, right, other, bias)
    done.add(i)
    if (bias) done.add(left.bias)
  })
  if (one === other) mirrorLower(gram, columns)
  slots.forEach((slot, i) => {
    if (!done.has(i)) addGeneralGram(gram, slot, uses[i], one, others[i], other)
  })
  return gram
}

/** The one linear operator without positions that uses a weight, if that is all its use. */
function plainWeight({ asWeight, asBias, direct }: ParameterUses): LinearFactor | undefined {
  const alone = asWeight.length === 1 && asBias.length + direct.length === 0
  return alone && asWeight[0].positions === 1 ? asWeight[0] : undefined
}

function onlyBias({ asWeight, asBias, direct }: ParameterUses): boolean {
  return asBias.length === 1 && asWeight.length + direct.length === 0
}

/**
 * Adds (a.a' + 1) (g.g'), without the 1 where there is no bias; of a batch with itself what is left of the diagonal.
 */
function addPlainGram(gram: Float64Array, left: LinearFactor, one: FactoredJacobian, right: LinearFactor,
  other: FactoredJacobian, bias: boolean): void {
  const [n, m, c, d] = [one.examples, other.examples, one.seeds, other.seeds]
  const inputs = new Float64Array(n * m)
  gemm(false, true, n, m, left.in, 1, asFloat64(left.a), asFloat64(right.a), 0, inputs)
  const g = exampleMajor(left.g, c, n, left.out)
  const h = left === right ? g : exampleMajor(right.g, d, m, right.out)
  const width = m * d
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (width * c)))
  for (let from = 0; from < n; from += step) {
    const to = Math.min(n, from + step)
    const last = one === other ? to : m
    const [count, wide] = [(to - from) * c, last * d]
    const block = new Float64Array(count * wide)
    const rows = g.subarray(from * c * left.out, to * c * left.out)
    gemm(false, true, count, wide, left.out, 1, rows, h.subarray(0, wide * left.out), 0, block)
    addScaledBlock(gram, block, inputs, { from, to, last, examples: m, rows: c, columns: d, shift: bias ? 1 : 0 })
  }
}

/** Which rows and columns of a Gram matrix a block covers, and what is added to the products of the inputs. */
interface GramBlock {
  readonly from: number
  readonly to: number
  /** The example that its columns end before. */
  readonly last: number
  readonly examples: number
  readonly rows: number
  readonly columns: number
  readonly shift: number
}

function addScaledBlock(gram: Float64Array, block: Float64Array, inputs: Float64Array,
  { from, to, last, examples, rows, columns, shift }: GramBlock): void {
  for (let n = from; n < to; n++) {
    for (let c = 0; c < rows; c++) {
      const source = ((n - from) * rows + c) * last * columns
      const target = (n * rows + c) * examples * columns
      for (let m = 0; m < last; m++) {
        const scale = inputs[n * examples + m] + shift
        for (let i = m * columns; i < (m + 1) * columns; i++) gram[target + i] += scale * block[source + i]
      }
    }
  }
}

/**
 * With positions or shared weights the rows of one tensor's Jacobian are written out, a block of examples at a time.
 */
function addGeneralGram(gram: Float64Array, slot: ParameterSlot, uses: ParameterUses, one: FactoredJacobian,
  others: ParameterUses, other: FactoredJacobian): void {
  const width = other.examples * other.seeds
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (one.seeds * slot.size)))
  const otherStep = Math.max(1, Math.floor(BLOCK_NUMBERS / (other.seeds * slot.size)))
  for (let from = 0; from < one.examples; from += step) {
    const to = Math.min(one.examples, from + step)
    const rows = parameterJacobian(slot, uses, one, from, to)
    for (let first = 0; first < other.examples; first += otherStep) {
      const last = Math.min(other.examples, first + otherStep)
      const same = one === other && first === from && last === to
      const columns = same ? rows : parameterJacobian(slot, others, other, first, last)
      const [count, wide] = [(to - from) * one.seeds, (last - first) * other.seeds]
      const block = new Float64Array(count * wide)
      gemm(false, true, count, wide, slot.size, 1, rows, columns, 0, block)
      for (let r = 0; r < count; r++) {
        const at = (from * one.seeds + r) * width + first * other.seeds
        for (let i = 0; i < wide; i++) gram[at + i] += block[r * wide + i]
      }
    }
  }
}

/** J_n J_n' of every example with itself: N x seeds x seeds. */
export function ownGram(slots: readonly ParameterSlot[], jacobian: FactoredJacobian): Float64Array {
  const { examples, seeds } = jacobian
  const result = new Float64Array(examples * seeds * seeds)
  const uses = usesByParameter(slots, jacobian)
  const done = new Set<number>()
  uses.forEach((own, i) => {
    const factor = plainWeight(own)
    if (factor === undefined) return
    const bias = factor.bias >= 0 && onlyBias(uses[factor.bias])
    addPlainOwn(result, factor, jacobian, bias)
    done.add(i)
    if (bias) done.add(factor.bias)
  })
  slots.forEach((slot, i) => {
    if (!done.has(i)) addGeneralOwn(result, slot, uses[i], jacobian)
  })
  return result
}

function addPlainOwn(result: Float64Array, factor: LinearFactor, { examples, seeds }: FactoredJacobian,
  bias: boolean): void {
  const { a, in: inputs, out } = factor
  const g = exampleMajor(factor.g, seeds, examples, out)
  for (let n = 0; n < examples; n++) {
    let square = bias ? 1 : 0
    for (let i = n * inputs; i < (n + 1) * inputs; i++) square += a[i] * a[i]
    const own = g.subarray(n * seeds * out, (n + 1) * seeds * out)
    const block = result.subarray(n * seeds * seeds, (n + 1) * seeds * seeds)
    gemm(false, true, seeds, seeds, out, square, own, own, 1, block)
  }
}

function addGeneralOwn(result: Float64Array, slot: ParameterSlot, uses: ParameterUses,
  jacobian: FactoredJacobian): void {
  const { examples, seeds } = jacobian
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (seeds * slot.size)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = parameterJacobian(slot, uses, jacobian, from, to)
    for (let n = from; n < to; n++) {
      const own = rows.subarray((n - from) * seeds * slot.size, (n - from + 1) * seeds * slot.size)
      const block = result.subarray(n * seeds * seeds, (n + 1) * seeds * seeds)
      gemm(false, true, seeds, seeds, slot.size, 1, own, own, 1, block)
    }
  }
}
