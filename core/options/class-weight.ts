/** @file Weights of classes as an option. */
import { demand, isList } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import type { PlainOptions } from './laplace-options.js'
import { numberList } from './option-values.js'
import type { Likelihood } from './words.js'

/** How much each class counts: one number a class (binary: of label 0 and of label 1). */
export type ClassWeight = Float64Array | 'balanced'

/** @throws OptionError BAD_COMBINATION for likelihoods whose rows have no class */
function checkClassLikelihood(likelihood: Likelihood): void {
  if (likelihood === 'classification' || likelihood === 'binary') return
  throw new OptionError('BAD_COMBINATION',
    `Option classWeight is for likelihoods 'classification' and 'binary', whose rows have one class; of `
      + `'${likelihood}' `
      + 'give the rows weights (sampleWeight).', { option: 'classWeight', likelihood })
}

/** @throws OptionError BAD_OPTION, BAD_COMBINATION */
export function classWeightOf({ classWeight, likelihood, structure, rank }: PlainOptions): ClassWeight | undefined {
  if (classWeight === undefined) return undefined
  checkClassLikelihood(likelihood)
  if (structure === 'ekfac' || structure === 'functional' || structure === 'samples' || rank !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      `Structure '${structure ?? 'lowrank'}' keeps its rows, which count whole times; with weights of classes `
        + "(classWeight) use structure 'kron', 'full' or 'diag'.", { option: 'classWeight',
      structure: structure ?? null })
  }
  if (classWeight === 'balanced') return classWeight
  demand(isList(classWeight), 'Option classWeight', "'balanced', or one number a class", classWeight)
  const list = numberList('classWeight', classWeight)
  const wrong = list.findIndex(value => value < 0)
  if (wrong < 0) return list
  throw new OptionError('BAD_OPTION',
    `Option classWeight: weights are not negative; that of class ${wrong} is ${list[wrong]}.`, {
    option: 'classWeight',
    value: list[wrong],
    index: wrong,
  })
}
