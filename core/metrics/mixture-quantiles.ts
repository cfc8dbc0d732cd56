/** @file Quantiles of mixtures of normal distributions, sum_k w_k N(m_k, s_k^2). */
import { normalQuantile } from '../kernels/normal-quantile.js'
import { erf } from '../ops/erf.js'

/** Halvings and secants that bring any bracket to the last bits. */
const MOST_STEPS = 200

/**
 * The q with sum_k w_k Phi((q - m_k) / s_k) = p, which lies between the members' own quantiles.
 * @param means m, one a member
 * @param deviations s, not negative
 * @param weights w, which sum to 1
 */
export function mixtureQuantile(p: number, means: ArrayLike<number>, deviations: ArrayLike<number>,
  weights: ArrayLike<number>): number {
  const z = normalQuantile(p)
  const own = Array.from(means, (mean, k) => mean + z * deviations[k])
  let [low, high] = [Math.min(...own), Math.max(...own)]
  const below = (q: number): number => {
    let sum = 0
    for (let k = 0; k < own.length; k++) sum += weights[k] * share((q - means[k]) / deviations[k])
    return sum
  }
  for (let step = 0; step < MOST_STEPS && low < high; step++) {
    const middle = low + (high - low) / 2
    if (middle === low || middle === high) break
    if (below(middle) < p) low = middle
    else high = middle
  }
  return high
}

/** Phi(z); of a member without any spread the step, 0 or 1. */
function share(z: number): number {
  return Number.isNaN(z) ? 1 : (1 + erf(z / Math.SQRT2)) / 2
}
