/** @file The likelihood of rows that count more than once, or less: the loss and Lambda_n of row n times w_n. */
import { packedLength, type RealArray, syrk } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from './likelihood.js'

/**
 * The likelihood of these N rows; a weight of 2 is the row twice, one of 0 no row.
 * @param weights w, N numbers that are not negative
 */
export function weighted(term: LikelihoodModel, weights: Float64Array): LikelihoodModel {
  const { hessianPairs } = term
  return {
    ...term,
    hessianPattern: term.hessianPattern === 'dense' ? 'dense' : 'diagonal',
    loss: (f, y, examples, outputs) => {
      const width = term.targetWidth(outputs)
      let sum = 0
      for (let n = 0; n < examples; n++) {
        if (weights[n] === 0) continue
        sum += weights[n] *
          term.loss(f.subarray(n * outputs, (n + 1) * outputs), y.subarray(n * width, (n + 1) * width), 1, outputs)
      }
      return sum
    },
    residual: (f, y, examples, outputs) => byRow(term.residual(f, y, examples, outputs), weights, outputs),
    ...(hessianPairs === undefined
      ? {}
      : {
        hessianPairs: (f: RealArray, examples: number, outputs: number) =>
          byRow(hessianPairs(f, examples, outputs), weights, packedLength(outputs)),
      }),
    hessianDiagonal: (f, examples, outputs) => byRow(term.hessianDiagonal(f, examples, outputs), weights, outputs),
    hessianSeeds: (f, examples, outputs) => weightedSeeds(term.hessianSeeds(f, examples, outputs), weights, outputs),
    sumHessian: (f, examples, outputs) => {
      const seeds = weightedSeeds(term.hessianSeeds(f, examples, outputs), weights, outputs)
      const sum = new Float64Array(outputs * outputs)
      syrk(outputs, seeds.length / outputs, 1, seeds, 0, sum)
      return sum
    },
  }
}

/** Seeds K x N x width of rows that count w_n times. */
export function weightedSeeds<A extends RealArray>(seeds: A, weights: Float64Array, width: number): A {
  return byRow(seeds, weights.map(Math.sqrt), width)
}

/** The rows of a matrix, or of several below each other, times the factor of each row. */
export function byRow<A extends RealArray>(values: A, factors: Float64Array, width: number): A {
  const result = values.slice() as A
  for (let i = 0; i < result.length; i++) result[i] *= factors[Math.floor(i / width) % factors.length]
  return result
}
