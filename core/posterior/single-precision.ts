/** @file Matrices of a posterior in the precision of a network's numbers. */
import type { RealArray } from '../kernels/linear-algebra.js'

/** Float32 copies of the posterior's matrices. Nothing that lives in the arena may be a key: its numbers change. */
const singles = new WeakMap<Float64Array, Float32Array>()

/** A matrix of the posterior in the precision of the data; a float32 copy is kept as long as its source. */
export function inPrecisionOf(data: RealArray, values: Float64Array): RealArray {
  if (data instanceof Float64Array) return values
  let single = singles.get(values)
  if (single === undefined) singles.set(values, single = Float32Array.from(values))
  return single
}
