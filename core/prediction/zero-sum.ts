/**
 * @file Probit that does not count what softmax ignores: a shift of all logits together. The variances are those of
 * f_c - mean_c f, so that the prior variance of the common shift, which no data can shrink, leaves the probabilities
 * alone.
 */
import { softmax } from '../likelihood/softmax.js'
import { probitShrinkage } from './probit.js'

/**
 * The variances of f_c - mean_c f: S_cc - 2 m_c + m, m_c = mean_j S_cj, m = mean_c m_c. N x C.
 * @param variance variances and row sums of S, N x 2 x C
 */
export function zeroSumVariances(variance: Float64Array, examples: number, outputs: number): Float64Array {
  const result = new Float64Array(examples * outputs)
  for (let n = 0; n < examples; n++) {
    const own = variance.subarray(n * 2 * outputs, (n + 1) * 2 * outputs)
    let mean = 0
    for (let c = 0; c < outputs; c++) mean += own[outputs + c] / outputs ** 2
    for (let c = 0; c < outputs; c++) {
      result[n * outputs + c] = Math.max(0, own[c] - 2 * own[outputs + c] / outputs + mean)
    }
  }
  return result
}

/** The same of independent outputs: variances S_cc, N x C to N x C. */
export function zeroSumOfIndependent(variance: Float64Array, outputs: number): Float64Array {
  const result = new Float64Array(variance.length)
  for (let at = 0; at < variance.length; at += outputs) {
    let mean = 0
    for (let c = at; c < at + outputs; c++) mean += variance[c] / outputs ** 2
    for (let c = at; c < at + outputs; c++) result[c] = Math.max(0, variance[c] * (1 - 2 / outputs) + mean)
  }
  return result
}

/**
 * p = softmax(f / sqrt(1 + pi/8 v)) with the variances v of f_c - mean_c f.
 * @param variance variances and row sums of S, N x 2 x C
 */
export function zeroSum(f: Float64Array, variance: Float64Array, examples: number, outputs: number): Float64Array {
  const v = zeroSumVariances(variance, examples, outputs)
  return softmax(f.map((value, i) => value * probitShrinkage(v[i])), examples, outputs)
}
