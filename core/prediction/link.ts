/** @file From the Gaussian over outputs to predictive probabilities: one function for each link. */
import { OptionError } from '../errors/errors.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Link } from '../options/words.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { bridge } from './bridge.js'
import type { Draws, GaussianOutputs } from './gaussian-outputs.js'
import { meanField1, meanField2, pairwiseProbit } from './mean-field.js'
import { monteCarlo, monteCarloNeeds } from './monte-carlo.js'
import { probit } from './probit.js'
import { zeroSum } from './zero-sum.js'

/**
 * What a link needs of f_var; `none` for the plain network.
 * @throws OptionError BAD_COMBINATION when the likelihood has no such link
 */
export function linkNeeds(link: Link, likelihood: LikelihoodModel): VarianceKind | 'none' {
  if (!hasLogits(likelihood.name)) return 'diagonal'
  switch (link) {
    case 'map':
      return 'none'
    case 'probit':
    case 'mean_field_1':
      return 'diagonal'
    case 'mc':
      return monteCarloNeeds(likelihood)
    case 'zero_sum':
      return likelihood.name === 'classification' ? 'sums' : 'diagonal'
    case 'mean_field_2':
    case 'pairwise':
      return likelihood.name === 'classification' ? 'covariance' : 'diagonal'
    case 'bridge':
    case 'bridge_norm':
      if (likelihood.name === 'classification') return 'sums'
      throw new OptionError('BAD_COMBINATION',
        `Link ${link} is for likelihood classification; likelihood ${likelihood.name} has probit, mc, mean_field_1, ` +
          'mean_field_2 and map.', { option: 'link', value: link, likelihood: likelihood.name })
  }
}

/** Draws of the link mc. */
export const LINK_SAMPLES = 1000

/** Rules for several classes. For one label against none each of them is the probit of f. */
const RULES_OF_CLASSES = {
  bridge: (f: Float64Array, variance: Float64Array, examples: number, outputs: number) =>
    bridge(f, variance, examples, outputs, false),
  bridge_norm: (f: Float64Array, variance: Float64Array, examples: number, outputs: number) =>
    bridge(f, variance, examples, outputs, true),
  mean_field_1: meanField1,
  mean_field_2: meanField2,
  zero_sum: zeroSum,
  pairwise: pairwiseProbit,
}

/**
 * Predictive probabilities (N x C); for likelihoods of numbers the outputs, whatever the link.
 * @param gaussian with what `linkNeeds` says; map does not use its variances
 * @throws OptionError BAD_COMBINATION when the likelihood has no such link
 */
export function predictiveProbabilities(link: Link, likelihood: LikelihoodModel, gaussian: GaussianOutputs,
  draws: Draws = { samples: LINK_SAMPLES, seed: 0 }): Float64Array {
  const { f, variance, examples, outputs } = gaussian
  linkNeeds(link, likelihood)
  if (!hasLogits(likelihood.name)) return Float64Array.from(f)
  if (link === 'map') return likelihood.inverseLink(f, examples, outputs)
  if (link === 'mc') return monteCarlo(likelihood, gaussian, draws).probabilities
  return link === 'probit' || likelihood.name !== 'classification'
    ? probit(likelihood, f, variance, examples, outputs)
    : RULES_OF_CLASSES[link](f, variance, examples, outputs)
}
