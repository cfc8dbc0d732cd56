/**
 * @file Label smoothing (Szegedy et al. 2016) as a likelihood: the cross entropy to labels that keep 1 - eps of their
 * weight and share eps among all classes. Lambda does not depend on the labels, so that it stays; the loss and its
 * gradient are those of the smoothed labels.
 */
import type { RealArray } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from './likelihood.js'
import { logSumExp } from './softmax.js'

/**
 * The likelihood of classes or labels with label smoothing. Labels that `draw` gives are of the model itself, so that
 * of curvature `mc_fisher` the expectation stays the GGN: their residual is not smoothed.
 * @param eps between 0 and 1: classification (1 - eps) onehot(y) + eps / C; binary, multilabel (1 - eps) y + eps / 2
 */
export function smoothed(term: LikelihoodModel, eps: number): LikelihoodModel {
  return term.name === 'classification' ? smoothedClasses(term, eps) : smoothedLabels(term, eps)
}

/** The Bernoulli loss takes labels between 0 and 1. */
function smoothedLabels(term: LikelihoodModel, eps: number): LikelihoodModel {
  const soft = (y: Float64Array): Float64Array => y.map(value => (1 - eps) * value + eps / 2)
  return {
    ...term,
    loss: (f, y, examples, outputs) => term.loss(f, soft(y), examples, outputs),
    residual: (f, y, examples, outputs) => term.residual(f, soft(y), examples, outputs),
    ofDrawn: term,
  }
}

function smoothedClasses(term: LikelihoodModel, eps: number): LikelihoodModel {
  return {
    ...term,
    // sum_c t_c (log sum exp f - f_c), with sum_c t_c = 1.
    loss: (f, y, examples, outputs) =>
      (1 - eps) * term.loss(f, y, examples, outputs) + eps * uniformLoss(f, examples, outputs),
    residual: (f, y, examples, outputs) => {
      const residual = term.residual(f, y, examples, outputs)
      // p - t = (p - onehot) + eps (onehot - 1 / C).
      for (let n = 0; n < examples; n++) {
        for (let c = 0; c < outputs; c++) residual[n * outputs + c] += eps * (Number(c === y[n]) - 1 / outputs)
      }
      return residual
    },
    ofDrawn: term,
  }
}

/** sum_n -mean_c log p_nc. */
function uniformLoss(f: RealArray, examples: number, outputs: number): number {
  let sum = 0
  logSumExp(f, examples, outputs).forEach((value, n) => {
    let mean = 0
    for (let c = 0; c < outputs; c++) mean += f[n * outputs + c] / outputs
    sum += value - mean
  })
  return sum
}
