/** @file The likelihoods by name. */
import type { Likelihood } from '../options/words.js'
import { binary } from './binary.js'
import { classification } from './classification.js'
import { regressionWithCovariance } from './correlated-noise.js'
import { customLikelihood } from './custom.js'
import { heteroscedastic } from './heteroscedastic.js'
import { regressionWithNoise } from './known-noise.js'
import type { LikelihoodModel } from './likelihood.js'
import { multilabel } from './multilabel.js'
import { poisson } from './poisson.js'
import { regression } from './regression.js'
import { reward } from './reward.js'
import { smoothed } from './smoothed.js'

/** What makes a likelihood of its name more precise. */
export interface LikelihoodForm {
  /** Of a regression whose outputs have noises of their own, C; they are then part of H. */
  readonly outputNoise?: Float64Array | undefined
  /** Of a regression whose noises are correlated: their covariance, C x C; it is part of H too. */
  readonly noiseCovariance?: Float64Array | undefined
  /** Of a likelihood of the user's own: columns of a root of Lambda, K. */
  readonly roots?: number | undefined
  /** Of classes and labels: the share eps of label smoothing. */
  readonly labelSmoothing?: number | undefined
}

/** What makes a likelihood more precise, of options that hold more: plain data, which other threads are sent. */
export function likelihoodForm(
  { outputNoise, noiseCovariance, labelSmoothing, roots }: LikelihoodForm,
): LikelihoodForm {
  return { outputNoise, noiseCovariance, labelSmoothing, roots }
}

/** The likelihood of that name. @param form where its loss or its Hessian are asked for */
export function likelihoodModel(name: Likelihood, form: LikelihoodForm = {}): LikelihoodModel {
  const { labelSmoothing } = form
  const term = named(name, form)
  return labelSmoothing === undefined || labelSmoothing === 0 ? term : smoothed(term, labelSmoothing)
}

function named(name: Likelihood, { outputNoise, noiseCovariance, roots = 1 }: LikelihoodForm): LikelihoodModel {
  switch (name) {
    case 'classification':
      return classification
    case 'binary':
      return binary
    case 'multilabel':
      return multilabel
    case 'regression':
      if (noiseCovariance !== undefined) return regressionWithCovariance(noiseCovariance)
      return outputNoise === undefined ? regression : regressionWithNoise(outputNoise)
    case 'heteroscedastic':
      return heteroscedastic
    case 'poisson':
      return poisson
    case 'reward_modeling':
      return reward
    case 'custom':
      return customLikelihood(roots)
  }
}
