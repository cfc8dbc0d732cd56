/** @file The Laplace bridge: a Dirichlet matched to a Gaussian over logits (Hobbhahn, Kristiadi and Hennig 2022). */

import { NumericalError } from '../errors/errors.js'

/**
 * The Dirichlet's mean, after the correction that makes the logits sum to zero:
 * alpha_k = (1 - 2/K + exp(mu_k) / K^2 sum_j exp(-mu_j)) / S_kk, p = alpha / sum alpha.
 * @param variance variances and row sums of S, N x 2 x C
 * @param normalised scale mu and S so that the mean variance is sqrt(K / 2) (`bridge_norm`)
 * @returns N x C probabilities
 * @throws NumericalError NOT_POSITIVE_DEFINITE where the difference of an output to the others does not vary
 */
export function bridge(f: Float64Array, variance: Float64Array, examples: number, outputs: number,
  normalised: boolean): Float64Array {
  const p = new Float64Array(examples * outputs)
  for (let n = 0; n < examples; n++) {
    const own = zeroSum(f.subarray(n * outputs, (n + 1) * outputs),
      variance.subarray(n * 2 * outputs, (n + 1) * 2 * outputs))
    demandVariance(own.variance, n)
    const scale = normalised ? mean(own.variance) / Math.sqrt(outputs / 2) : 1
    const alpha = concentration(own.mu.map(m => m / Math.sqrt(scale)), own.variance.map(v => v / scale))
    p.set(alpha, n * outputs)
  }
  return p
}

/** The Gaussian conditioned on 1'f = 0: mean and variances. */
function zeroSum(f: Float64Array, own: Float64Array): { mu: Float64Array, variance: Float64Array } {
  const outputs = f.length
  const rowSums = own.subarray(outputs)
  const total = rowSums.reduce((sum, value) => sum + value, 0)
  const sum = f.reduce((all, value) => all + value, 0)
  return {
    mu: f.map((value, c) => value - rowSums[c] * sum / total),
    variance: f.map((_, c) => own[c] - rowSums[c] * rowSums[c] / total),
  }
}

/** Some outputs may be certain: those of a subnetwork, say, that does not reach them. */
function demandVariance(variance: Float64Array, row: number): void {
  const still = variance.findIndex(value => !(value > 0))
  if (still < 0) return
  throw new NumericalError('NOT_POSITIVE_DEFINITE',
    `The Laplace bridge needs outputs that all vary, and output ${still} of row ${row} does not, where the outputs sum `
      + "to zero: take link 'probit', 'zero_sum' or 'mc'.", { output: still, row })
}

/** alpha divided by its sum; exponentials share a shift so that none overflows. */
function concentration(mu: Float64Array, variance: Float64Array): Float64Array {
  const outputs = mu.length
  const low = mu.reduce((a, b) => Math.min(a, b), Infinity)
  const high = mu.reduce((a, b) => Math.max(a, b), -Infinity)
  const inverseSum = mu.reduce((sum, m) => sum + Math.exp(low - m), 0)
  const shift = high - low
  const alpha = mu.map((m, c) =>
    ((1 - 2 / outputs) * Math.exp(-shift) + Math.exp(m - high) / (outputs * outputs) * inverseSum) / variance[c]
  )
  const total = alpha.reduce((sum, value) => sum + value, 0)
  return alpha.map(value => value / total)
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
