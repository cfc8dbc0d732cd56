/** @file The likelihoods by name. */
import type { Likelihood } from '../options/words.js'
import { binary } from './binary.js'
import { classification } from './classification.js'
import type { LikelihoodModel } from './likelihood.js'
import { multilabel } from './multilabel.js'
import { regression } from './regression.js'

/** The likelihood of that name. */
export function likelihoodModel(name: Likelihood): LikelihoodModel {
  switch (name) {
    case 'classification':
      return classification
    case 'binary':
      return binary
    case 'multilabel':
      return multilabel
    case 'regression':
      return regression
  }
}
