/**
 * @file Mean-field approximations of E[softmax] (Lu, Ie and Sha 2020): p_c = 1 / sum_d exp(-(f_c - f_d) / sqrt(1 + pi/8
 * s_cd)).
 */

/**
 * Order 1: s_cd = S_cc + S_dd; not renormalised.
 * @param variance the diagonal of S, N x C
 */
export function meanField1(f: Float64Array, variance: Float64Array, examples: number, outputs: number): Float64Array {
  return pairwise(f, examples, outputs, (n, c, d) => variance[n * outputs + c] + variance[n * outputs + d])
}

/**
 * Order 2: s_cd = S_cc + S_dd - 2 S_cd, the variance of f_c - f_d; not renormalised.
 * @param covariance S, N x C x C
 */
export function meanField2(f: Float64Array, covariance: Float64Array, examples: number, outputs: number): Float64Array {
  const at = (n: number, c: number, d: number): number => covariance[(n * outputs + c) * outputs + d]
  return pairwise(f, examples, outputs, (n, c, d) => at(n, c, c) + at(n, d, d) - 2 * at(n, c, d))
}

/**
 * Order 2, renormalised: with two classes the probit of their difference, exactly.
 * @param covariance S, N x C x C
 */
export function pairwiseProbit(f: Float64Array, covariance: Float64Array, examples: number,
  outputs: number): Float64Array {
  const p = meanField2(f, covariance, examples, outputs)
  for (let at = 0; at < p.length; at += outputs) {
    let sum = 0
    for (let c = at; c < at + outputs; c++) sum += p[c]
    for (let c = at; c < at + outputs; c++) p[c] /= sum
  }
  return p
}

function pairwise(f: Float64Array, examples: number, outputs: number,
  spread: (n: number, c: number, d: number) => number): Float64Array {
  const p = new Float64Array(examples * outputs)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      let sum = 0
      for (let d = 0; d < outputs; d++) {
        sum += d === c
          ? 1
          : Math.exp(
            (f[n * outputs + d] - f[n * outputs + c]) / Math.sqrt(1 + Math.PI / 8 * Math.max(0, spread(n, c, d))),
          )
      }
      p[n * outputs + c] = 1 / sum
    }
  }
  return p
}
