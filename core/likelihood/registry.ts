/** @file The likelihoods by name. */
import type { Likelihood } from '../options/words.js'
import { binary } from './binary.js'
import { classification } from './classification.js'
import { heteroscedastic } from './heteroscedastic.js'
import { regressionWithNoise } from './known-noise.js'
import type { LikelihoodModel } from './likelihood.js'
import { multilabel } from './multilabel.js'
import { poisson } from './poisson.js'
import { regression } from './regression.js'

/**
 * The likelihood of that name.
 * @param outputNoise of a regression whose outputs have noises of their own, C; they are then part of H
 */
export function likelihoodModel(name: Likelihood, outputNoise?: Float64Array): LikelihoodModel {
  switch (name) {
    case 'classification':
      return classification
    case 'binary':
      return binary
    case 'multilabel':
      return multilabel
    case 'regression':
      return outputNoise === undefined ? regression : regressionWithNoise(outputNoise)
    case 'heteroscedastic':
      return heteroscedastic
    case 'poisson':
      return poisson
  }
}
