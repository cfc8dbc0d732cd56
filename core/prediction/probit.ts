/** @file The probit approximation: logits shrunk by their variance (MacKay 1992). */
import type { LikelihoodModel } from '../likelihood/likelihood.js'

/** 1 / sqrt(1 + pi/8 v). */
export function probitShrinkage(variance: number): number {
  return 1 / Math.sqrt(1 + Math.PI / 8 * variance)
}

/**
 * p = inverse link of f / sqrt(1 + pi/8 diag(f_var)): softmax for classification, sigmoid for binary and multilabel.
 * @param variance N x C
 * @returns N x C probabilities
 */
export function probit(likelihood: LikelihoodModel, f: Float64Array, variance: Float64Array, examples: number,
  outputs: number): Float64Array {
  return likelihood.inverseLink(f.map((value, i) => value * probitShrinkage(variance[i])), examples, outputs)
}
