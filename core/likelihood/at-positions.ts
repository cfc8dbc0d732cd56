/**
 * @file The likelihood of examples that are made of several terms: outputs N x (T C), Lambda_n block-diagonal with a
 * block a term. What is left out has no loss and a block of zeros.
 */
import type { RealArray } from '../kernels/linear-algebra.js'
import { takeRows } from '../tensor/rows.js'
import type { LikelihoodModel } from './likelihood.js'
import { labelledTerms } from './position-labels.js'
import { positionSeeds } from './position-seeds.js'

/**
 * The likelihood of N examples of T terms each.
 * @param labels of these N examples, N x T x width, NaN where a term is left out
 */
export function atPositions(term: LikelihoodModel, terms: number, labels: Float64Array): LikelihoodModel {
  if (terms === 1) return term
  const each = (examples: number, outputs: number) => [examples * terms, outputs / terms] as const
  return {
    ...term,
    hessianPattern: 'dense',
    hessianPairs: undefined,
    targetWidth: outputs => terms * term.targetWidth(outputs / terms),
    loss: (f, y, examples, outputs) => {
      const [rows, own] = each(examples, outputs)
      const kept = labelledTerms(y, term.targetWidth(own))
      return kept === undefined
        ? term.loss(f, y, rows, own)
        : term.loss(takeRows(f, kept, own), takeRows(y, kept, term.targetWidth(own)), kept.length, own)
    },
    residual: (f, y, examples, outputs) => {
      const [rows, own] = each(examples, outputs)
      const width = term.targetWidth(own)
      const kept = labelledTerms(y, width)
      if (kept === undefined) return term.residual(f, y, rows, own)
      const result = new Float64Array(f.length)
      const there = term.residual(takeRows(f, kept, own), takeRows(y, kept, width), kept.length, own)
      kept.forEach((row, i) => {
        result.set(there.subarray(i * own, (i + 1) * own), row * own)
      })
      return result
    },
    hessianDiagonal: (f, examples, outputs) => {
      const [rows, own] = each(examples, outputs)
      const width = term.targetWidth(own)
      return term.hessianDiagonal(f, rows, own).map((value, i) =>
        Number.isNaN(labels[Math.floor(i / own) * width]) ? 0 : value
      )
    },
    seedCount: outputs => terms * term.seedCount(outputs / terms),
    hessianSeeds: (f: RealArray, examples, outputs) =>
      positionSeeds(term, f, labels, examples, outputs / terms, { terms, from: 0, count: terms }),
    inverseLink: (f, examples, outputs) => term.inverseLink(f, ...each(examples, outputs)),
  }
}
