/** @file Weights of classes as an option. */
import { OptionError } from '../errors/errors.js'
import type { Likelihood } from './words.js'

/** How much each class counts: one number a class (binary: of label 0 and of label 1). */
export type ClassWeight = Float64Array | 'balanced'

/** @throws OptionError BAD_COMBINATION for likelihoods whose rows have no class */
export function checkClassLikelihood(likelihood: Likelihood): void {
  if (likelihood === 'classification' || likelihood === 'binary') return
  throw new OptionError('BAD_COMBINATION',
    `Option classWeight is for likelihoods 'classification' and 'binary', whose rows have one class; of `
      + `'${likelihood}' `
      + 'give the rows weights (sampleWeight).', { option: 'classWeight', likelihood })
}
