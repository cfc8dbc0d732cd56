/** @file Products with the Jacobian of a batch that stays factored: J V' and A' J. */
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import type { DirectFactor, FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import type { ParameterVectors } from './parameter-vectors.js'
import { asFloat64 } from './real.js'

/** Numbers of one block of intermediate results. */
const BLOCK_NUMBERS = 1 << 22

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
