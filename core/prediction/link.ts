/** @file From the Gaussian over outputs to predictive probabilities: one function for each link. */
import { OptionError } from '../errors/errors.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Link } from '../options/words.js'
import type { VarianceKind } from '../posterior/variance-kind.js'
import { bridge } from './bridge.js'
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

/**
 * Predictive probabilities (N x C); for likelihoods of numbers the outputs, whatever the link.
 * @param variance of the kind that `linkNeeds` says; unused by map
 * @throws OptionError BAD_COMBINATION when the likelihood has no such link
 */
export function predictiveProbabilities(link: Link, likelihood: LikelihoodModel, f: Float64Array,
  variance: Float64Array, examples: number, outputs: number, samples: number, seed: number): Float64Array {
  linkNeeds(link, likelihood)
  if (!hasLogits(likelihood.name)) return Float64Array.from(f)
  switch (link) {
    case 'map':
      return likelihood.inverseLink(f, examples, outputs)
    case 'probit':
      return probit(likelihood, f, variance, examples, outputs)
    case 'mc':
      return monteCarlo(likelihood, f, variance, examples, outputs, samples, seed).probabilities
    case 'bridge':
      return bridge(f, variance, examples, outputs, false)
    case 'bridge_norm':
      return bridge(f, variance, examples, outputs, true)
    // For one label against none, the pairwise probit of (0, f) is the probit of f.
    case 'mean_field_1':
      return likelihood.name === 'classification'
        ? meanField1(f, variance, examples, outputs)
        : probit(likelihood, f, variance, examples, outputs)
    case 'mean_field_2':
      return likelihood.name === 'classification'
        ? meanField2(f, variance, examples, outputs)
        : probit(likelihood, f, variance, examples, outputs)
    case 'zero_sum':
      return likelihood.name === 'classification'
        ? zeroSum(f, variance, examples, outputs)
        : probit(likelihood, f, variance, examples, outputs)
    case 'pairwise':
      return likelihood.name === 'classification'
        ? pairwiseProbit(f, variance, examples, outputs)
        : probit(likelihood, f, variance, examples, outputs)
  }
}
