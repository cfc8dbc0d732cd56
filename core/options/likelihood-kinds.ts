/** @file What kind of answer a likelihood has: probabilities of classes or labels, or numbers. */
import { type Likelihood, LOGIT_LIKELIHOODS, type LogitLikelihood, NUMBER_LIKELIHOODS,
  type NumberLikelihood } from './words.js'

/** Whether the outputs are logits, and predictions probabilities. */
export function hasLogits(likelihood: Likelihood): likelihood is LogitLikelihood {
  return (LOGIT_LIKELIHOODS as readonly Likelihood[]).includes(likelihood)
}

/** Whether the targets are numbers. */
export function hasNumbers(likelihood: Likelihood): likelihood is NumberLikelihood {
  return (NUMBER_LIKELIHOODS as readonly Likelihood[]).includes(likelihood)
}
