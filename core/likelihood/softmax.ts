/** @file Softmax and the logarithm of a sum of exponentials, safe for logits of any size. */
import { exp } from '../kernels/elementwise.js'
import type { RealArray } from '../kernels/linear-algebra.js'

/** e^(f - max of the row) for every row of an N x C matrix, and the maxima. */
function shiftedExponentials(f: RealArray, examples: number,
  outputs: number): { readonly values: Float64Array, readonly maxima: Float64Array } {
  const values = new Float64Array(examples * outputs)
  const maxima = new Float64Array(examples)
  for (let n = 0, at = 0; n < examples; n++, at += outputs) {
    let max = -Infinity
    for (let i = at; i < at + outputs; i++) if (f[i] > max) max = f[i]
    for (let i = at; i < at + outputs; i++) values[i] = f[i] - max
    maxima[n] = max
  }
  exp(values, values)
  return { values, maxima }
}

function rowSum(values: Float64Array, from: number, to: number): number {
  let sum = 0
  for (let i = from; i < to; i++) sum += values[i]
  return sum
}

/** Softmax of every row of an N x C matrix. */
export function softmax(f: RealArray, examples: number, outputs: number): Float64Array {
  const { values } = shiftedExponentials(f, examples, outputs)
  for (let at = 0; at < values.length; at += outputs) {
    const scale = 1 / rowSum(values, at, at + outputs)
    for (let i = at; i < at + outputs; i++) values[i] *= scale
  }
  return values
}

/** Numbers of the rows whose exponentials are there at once. */
const BLOCK_NUMBERS = 1 << 16

/** log sum exp of every row of an N x C matrix. */
export function logSumExp(f: RealArray, examples: number, outputs: number): Float64Array {
  const result = new Float64Array(examples)
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / outputs))
  for (let from = 0; from < examples; from += step) {
    const rows = Math.min(step, examples - from)
    const { values, maxima } = shiftedExponentials(f.subarray(from * outputs, (from + rows) * outputs), rows, outputs)
    maxima.forEach((max, n) => {
      result[from + n] = max + Math.log(rowSum(values, n * outputs, (n + 1) * outputs))
    })
  }
  return result
}
