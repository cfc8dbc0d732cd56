/** @file Seeds of a fit at some of an example's positions: each term has the root of its own Hessian. */
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from './likelihood.js'

/** Some of the T positions of an example: `count` of them from `from` on, of which those from T on are none. */
export interface PositionRange {
  readonly terms: number
  readonly from: number
  readonly count: number
}

/**
 * The seeds of the positions of a range, one position after another: (count K) x N x (T C), zero outside of each seed's
 * own position and at positions without a label.
 * @param f outputs, N x T x C
 * @param labels of all positions, NaN where one is left out
 */
export function positionSeeds(likelihood: LikelihoodModel, f: RealArray, labels: Float64Array, examples: number,
  outputs: number, { terms, from, count }: PositionRange): RealArray {
  const perTerm = likelihood.seedCount(outputs)
  const width = likelihood.targetWidth(outputs)
  const length = count * perTerm * examples * terms * outputs
  const seeds = zerosLike(f, length)
  for (let t = from; t < Math.min(terms, from + count); t++) {
    const own = rowsAt(f, t, examples, terms, outputs)
    const roots = likelihood.hessianSeeds(own, examples, outputs)
    for (let k = 0; k < perTerm; k++) {
      for (let n = 0; n < examples; n++) {
        if (Number.isNaN(labels[(n * terms + t) * width])) continue
        const root = (k * examples + n) * outputs
        seeds.set(roots.subarray(root, root + outputs),
          ((((t - from) * perTerm + k) * examples + n) * terms + t) * outputs)
      }
    }
  }
  return seeds
}

/** The outputs at one position, N x C. */
function rowsAt(f: RealArray, t: number, examples: number, terms: number, outputs: number): RealArray {
  const rows = f.slice(0, examples * outputs)
  for (let n = 0; n < examples; n++) {
    const at = (n * terms + t) * outputs
    rows.set(f.subarray(at, at + outputs), n * outputs)
  }
  return rows
}
