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
  return { ...term, ofLabels: labels =>
    withSeeds(term, () => roots, (_f, examples, outputs) => {
      const seeds = new Float64Array(roots * examples * outputs)
      for (let k = 0, at = 0; k < roots; k++) {
        for (let n = 0; n < examples; n++) {
          for (let c = 0; c < outputs; c++, at++) seeds[at] = labels[n * width(outputs) + 1 + outputs + c * roots + k]
        }
      }
      return seeds
    }) }
}
