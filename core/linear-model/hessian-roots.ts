/** @file Roots R of the likelihood's Hessians, R R' = Lambda row by row, and their products with vectors. */
import type { LabelledRows } from './linear-problem.js'

/** N x C x K, example by example. */
export interface HessianRoots {
  readonly rank: number
  readonly roots: Float64Array
}

/** A root of Lambda at the outputs f. */
export function hessianRoots({ likelihood, examples, outputs }: Omit<LabelledRows, 'labels'>,
  f: Float64Array): HessianRoots {
  const rank = likelihood.seedCount(outputs)
  const seeds = likelihood.hessianSeeds(f, examples, outputs)
  const roots = new Float64Array(examples * outputs * rank)
  for (let k = 0; k < rank; k++) {
    for (let n = 0; n < examples; n++) {
      for (let c = 0; c < outputs; c++) roots[(n * outputs + c) * rank + k] = seeds[(k * examples + n) * outputs + c]
    }
  }
  return { rank, roots }
}

/** R' v of every example: N x K from N x C. */
export function transposedRootTimes({ roots, rank }: HessianRoots, v: Float64Array, outputs: number): Float64Array {
  const result = new Float64Array(v.length / outputs * rank)
  for (let at = 0; at < v.length; at++) {
    const to = Math.floor(at / outputs) * rank
    for (let k = 0; k < rank; k++) result[to + k] += roots[at * rank + k] * v[at]
  }
  return result
}

/** R v of every example: N x C from N x K. */
export function rootTimes({ roots, rank }: HessianRoots, v: Float64Array, outputs: number): Float64Array {
  const result = new Float64Array(v.length / rank * outputs)
  for (let at = 0; at < result.length; at++) {
    const from = Math.floor(at / outputs) * rank
    let sum = 0
    for (let k = 0; k < rank; k++) sum += roots[at * rank + k] * v[from + k]
    result[at] = sum
  }
  return result
}
