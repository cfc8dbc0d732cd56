/**
 * @file A likelihood of the user's own: what it says of a row at the network's outputs is in the row's targets, its
 * loss, the C derivatives with respect to f, and K roots of C numbers each, sum_k q_k q_k' = Lambda.
 */
import { InternalError } from '../errors/errors.js'
import { withSeeds } from './fisher.js'
import type { LikelihoodModel } from './likelihood.js'

/** The likelihood whose rows come with loss, derivatives and K roots: targets of 1 + C + C K numbers. */
export function customLikelihood(roots: number): LikelihoodModel {
  const width = (outputs: number): number => 1 + outputs + outputs * roots
  const unknown = (): never => {
    throw new InternalError("A likelihood of one's own knows its Hessian of labelled rows alone.")
  }
  const term: LikelihoodModel = {
    name: 'custom',
    hessianPattern: 'dense',
    targetWidth: width,
    loss: (_f, y, examples, outputs) => {
      let sum = 0
      for (let n = 0; n < examples; n++) sum += y[n * width(outputs)]
      return sum
    },
    residual: (_f, y, examples, outputs) =>
      Float64Array.from({ length: examples * outputs }, (_, i) =>
        y[Math.floor(i / outputs) * width(outputs) + 1 + i % outputs]),
    hessianDiagonal: unknown,
    seedCount: () => roots,
    hessianSeeds: unknown,
    sumHessian: unknown,
    logNormaliser: () => 0,
    draw: unknown,
    inverseLink: f => Float64Array.from(f),
    outputsAlone: true,
  }
  return { ...term,
    ofLabels: labels =>
      withSeeds(term, outputs => rootsUsed(labels, outputs, roots).count, (_f, examples, outputs) => {
        const { count, rootOf } = rootsUsed(labels, outputs, roots)
        const seeds = new Float64Array(count * examples * outputs)
        for (let k = 0, at = 0; k < count; k++) {
          for (let n = 0; n < examples; n++) {
            const root = rootOf[n * roots + k]
            const from = n * width(outputs) + 1 + outputs + root
            for (let c = 0; c < outputs; c++, at++) seeds[at] = root < 0 ? 0 : labels[from + c * roots]
          }
        }
        return seeds
      }) }
}

/**
 * Which roots the rows of a batch have: those of zeros, as outputs have that a row masks, are left out, and as many
 * seeds travel back as the row with the most needs. Rounded up to a power of two, as each number is a program.
 * @returns of row n and seed k the root, or -1, at `rootOf[n roots + k]`
 */
function rootsUsed(labels: Float64Array, outputs: number,
  roots: number): { readonly count: number, readonly rootOf: Int32Array } {
  const width = 1 + outputs + outputs * roots
  const rootOf = new Int32Array(labels.length / width * roots).fill(-1)
  let most = 1
  for (let n = 0; n * width < labels.length; n++) {
    const from = n * width + 1 + outputs
    let used = 0
    for (let k = 0; k < roots; k++) {
      let c = 0
      while (c < outputs && labels[from + c * roots + k] === 0) c++
      if (c < outputs) rootOf[n * roots + used++] = k
    }
    most = Math.max(most, used)
  }
  return { count: Math.min(roots, 2 ** Math.ceil(Math.log2(most))), rootOf }
}
