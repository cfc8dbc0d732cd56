/** @file Total, aleatoric and epistemic uncertainty. */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { GaussianOutputs } from './gaussian-outputs.js'
import { monteCarlo } from './monte-carlo.js'

/** Draws behind the decomposition. */
const DECOMPOSITION_SAMPLES = 1000

/**
 * The parts of the predictive uncertainty. Classification: entropies in nats, one for each example (N); binary and
 * multilabel: one for each label (N x C); regression: variances (N x C), aleatoric sigma^2 and epistemic f_var;
 * heteroscedastic, poisson: the parts of a new observation's variance (N x K).
 */
export interface UncertaintyParts {
  readonly total: Float64Array
  readonly aleatoric: Float64Array
  readonly epistemic: Float64Array
}

/**
 * Classification, binary, multilabel: total = H[E p], aleatoric = E H[p] over seeded draws of N(f, f_var), epistemic =
 * total - aleatoric (Houlsby et al. 2011); regression: the noise and the variance of the function.
 * @param gaussian with covariances for classification, else with variances (`monteCarloNeeds`)
 */
export function decompose(likelihood: LikelihoodModel, gaussian: GaussianOutputs, sigmaNoise: Float64Array,
  seed: number): UncertaintyParts {
  const { f, variance, examples, outputs } = gaussian
  if (likelihood.name === 'regression') {
    const aleatoric = f.map((_, i) => sigmaNoise[i % outputs] ** 2)
    return { total: variance.map((v, i) => v + aleatoric[i]), aleatoric, epistemic: Float64Array.from(variance) }
  }
  if (likelihood.observation !== undefined) {
    const { aleatoric, epistemic } = likelihood.observation.moments(f, variance, examples, outputs)
    return { total: aleatoric.map((value, i) => value + epistemic[i]), aleatoric, epistemic }
  }
  const { probabilities, expectedEntropy } = monteCarlo(likelihood, gaussian, { samples: DECOMPOSITION_SAMPLES, seed })
  const total = likelihood.name === 'classification'
    ? Float64Array.from({ length: examples }, (_, n) => entropy(probabilities.subarray(n * outputs, (n + 1) * outputs)))
    : probabilities.map(p => entropy([p, 1 - p]))
  // Both entropies are of the same draws, so that only rounding can make the difference negative; with another total
  // the clamp would hide it.
  return { total, aleatoric: expectedEntropy,
    epistemic: total.map((value, i) => Math.max(0, value - expectedEntropy[i])) }
}

/** Entropy of a distribution in nats. */
export function entropy(probabilities: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] > 0) sum -= probabilities[i] * Math.log(probabilities[i])
  }
  return sum
}
