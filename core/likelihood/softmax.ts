/** @file Softmax and the logarithm of a sum of exponentials, safe for logits of any size. */
import type { RealArray } from '../kernels/linear-algebra.js'

/**
 * Softmax of `count` logits from `f[offset]`, written to `out[to]`.
 * @returns log sum exp of the logits
 */
export function softmaxRow(f: RealArray, offset: number, count: number, out: Float64Array, to: number): number {
  let max = -Infinity
  for (let c = 0; c < count; c++) if (f[offset + c] > max) max = f[offset + c]
  let sum = 0
  for (let c = 0; c < count; c++) sum += out[to + c] = Math.exp(f[offset + c] - max)
  const scale = 1 / sum
  for (let c = 0; c < count; c++) out[to + c] *= scale
  return max + Math.log(sum)
}

/** Softmax of every row of an N x C matrix. */
export function softmax(f: RealArray, examples: number, outputs: number): Float64Array {
  const p = new Float64Array(examples * outputs)
  for (let n = 0; n < examples; n++) softmaxRow(f, n * outputs, outputs, p, n * outputs)
  return p
}
