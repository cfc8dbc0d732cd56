/** @file Which posterior is meant: its weights, its structure, whether the linear model over all weights gives it. */
import { demand, isList } from '../errors/demand.js'
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import type { PlainOptions } from './laplace-options.js'
import { whole, word } from './option-values.js'
import type { SubnetworkChoice } from './parameter-choice.js'
import { STRUCTURES, type Subset, SUBSET_CHOICES, type SumStructure } from './words.js'

/** A curvature that takes the rows of the data more than once: by some rows of its own, or in eigenbases. */
export type FactoredStructure =
  | { readonly of: 'functional', readonly nSubset: number | undefined, readonly independentOutputs: boolean,
    readonly nystroem: boolean }
  | { readonly of: 'lowrank', readonly rank: number }
  | { readonly of: 'ekfac' }
  | { readonly of: 'samples', readonly samples: number }

/** Draws that structure `samples` solves for: variances within 18 %. */
const USUAL_SAMPLES = 64

/** Which posterior is meant. */
export interface PosteriorChoice {
  /** Of the curvature that is summed; with `linearModel` the posterior of all weights comes from their linear model. */
  readonly subset: Subset
  /**
   * The subset in the user's words: a last layer with something behind it is `all` of a network that has no other
   * parameters.
   */
  readonly subsetName: Subset
  readonly structure: SumStructure
  /** The linear model over all weights: sought, and left where it is too large or impossible; demanded; or not used. */
  readonly linearModel: 'preferred' | 'required' | 'none'
}

/**
 * Options that name neither subset nor structure nor prior leave it to the fit, where there is a `linear` model.
 * @throws OptionError BAD_OPTION, BAD_COMBINATION
 */
export function posteriorChoice(options: PlainOptions, linear: boolean,
  factored: FactoredStructure | undefined): PosteriorChoice {
  const subset = word('subset', options.subset, SUBSET_CHOICES)
  const structure = options.structure === undefined ? undefined : oneOf('structure', options.structure, STRUCTURES)
  if (factored !== undefined || structure === 'functional' || structure === 'ekfac' || structure === 'samples') {
    const name = subset === 'auto' ? structure === 'ekfac' ? 'last_layer' : 'all' : subset
    return { subset: name === 'subnetwork' ? 'all' : name, subsetName: name,
      structure: structure === 'ekfac' ? 'kron' : 'diag', linearModel: 'none' }
  }
  if (structure === 'lowrank') {
    if (subset === 'last_layer' || subset === 'subnetwork') {
      throw new OptionError('BAD_COMBINATION',
        "Structure 'lowrank' is the linear model over all weights; use subset 'all' (or 'auto'), or another structure.",
        { subset, structure })
    }
    return { subset: 'all', subsetName: 'all', structure: 'kron', linearModel: 'required' }
  }
  if (subset === 'subnetwork') {
    return { subset: 'all', subsetName: 'subnetwork', structure: structure ?? 'full', linearModel: 'none' }
  }
  const linearModel = structure === undefined && subset !== 'last_layer' && leavesPriorOpen(options) && linear
    ? 'preferred'
    : 'none'
  const own = subset === 'auto' ? 'last_layer' : subset
  const usual = options.curvature === 'hessian' ? 'full' : 'kron'
  return { subset: own, subsetName: own, structure: structure ?? usual, linearModel }
}

/** @throws OptionError BAD_OPTION, BAD_COMBINATION for what says more of a structure than it has */
export function factoredStructure(
  { structure, rank, nSubset, blocks, independentOutputs, nystroem, samples }: PlainOptions,
):
  | FactoredStructure
  | undefined {
  for (const [option, value] of Object.entries({ independentOutputs, nystroem })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw new OptionError('BAD_OPTION', `Option ${option} must be true or false; got ${shown(value)}.`, { option })
    }
    if (value !== true || structure === 'functional') continue
    throw new OptionError('BAD_COMBINATION',
      `Option ${option} is one of structure 'functional', a process over the outputs; others have none.`, { option })
  }
  if (nSubset !== undefined && structure !== 'functional') {
    throw new OptionError('BAD_COMBINATION',
      "Option nSubset is the number of examples that structure 'functional' keeps; others sum all of them.", {
      option: 'nSubset',
    })
  }
  if (blocks !== undefined && structure !== 'blockdiag') {
    throw new OptionError('BAD_COMBINATION',
      "Option blocks says what the blocks of structure 'blockdiag' are; other structures have none.", {
      option: 'blocks',
    })
  }
  if (rank !== undefined && structure !== 'lowrank') {
    throw new OptionError('BAD_COMBINATION', "Option rank is that of structure 'lowrank'; others have none.", {
      option: 'rank',
    })
  }
  if (samples !== undefined && structure !== 'samples') {
    throw new OptionError('BAD_COMBINATION',
      "Option samples is the number of draws that structure 'samples' solves for; others have none. Draws of a "
        + 'prediction are its own option.', { option: 'samples' })
  }
  if (structure === 'samples') return { of: 'samples', samples: whole('samples', samples, 1) ?? USUAL_SAMPLES }
  if (structure === 'ekfac') return { of: 'ekfac' }
  if (structure === 'functional') {
    return { of: 'functional', nSubset: whole('nSubset', nSubset, 1), independentOutputs: independentOutputs === true,
      nystroem: nystroem === true }
  }
  if (rank === undefined) return undefined
  demand(typeof rank === 'number', 'Option rank', 'a whole number, or a share below 1', rank)
  if (rank > 0 && rank < 1) return { of: 'lowrank', rank }
  return { of: 'lowrank', rank: whole('rank', rank, 1) ?? 1 }
}

/**
 * @throws OptionError BAD_COMBINATION unless a subnetwork goes with its subset, and its indices ascend where a prior
 * has a number for each
 */
export function subnetworkOf({ subset, subnetwork, priorPrecision, priorMean }: PlainOptions):
  | SubnetworkChoice
  | undefined {
  if ((subset === 'subnetwork') === (subnetwork !== undefined)) {
    const choice = checkedSubnetwork(subnetwork)
    demandAscending(choice, { priorPrecision, priorMean })
    return choice
  }
  throw new OptionError('BAD_COMBINATION', subnetwork === undefined
    ? "Subset 'subnetwork' needs its parameters (option subnetwork): flat indices, names, or a number of them with "
      + 'what they are chosen by.'
    : "Option subnetwork says which parameters subset 'subnetwork' means; with another subset nothing would use it.", {
    option: 'subnetwork',
  })
}

function checkedSubnetwork(choice: SubnetworkChoice | undefined): SubnetworkChoice | undefined {
  const due = "indices or names of parameters, or { count, by: 'magnitude' | 'random' | scores }"
  demand(choice === undefined || typeof choice === 'object' && choice !== null, 'Option subnetwork', due, choice)
  if (choice === undefined || isList(choice)) return choice
  knownOptions('subnetwork', choice, ['count', 'by', 'seed'])
  demand('count' in choice && (choice.by === 'magnitude' || choice.by === 'random' || isList(choice.by)),
    'Option subnetwork', due, choice)
  whole('subnetwork.count', choice.count, 1)
  whole('subnetwork.seed', choice.seed, 0)
  return choice
}

/**
 * What is given a parameter belongs to parameters in the network's order, which that of the indices may not be.
 * @throws OptionError BAD_COMBINATION
 */
export function demandAscending(choice: SubnetworkChoice | undefined, given: Readonly<Record<string, unknown>>): void {
  if (choice === undefined || 'count' in choice) return
  // Names have no order of their own.
  const indices = Array.from<string | number>(choice).filter(index => typeof index === 'number')
  if (indices.every((index, i) => i === 0 || index > indices[i - 1])) return
  for (const [option, value] of Object.entries(given)) {
    if (!isList(value) || value.length !== indices.length) continue
    throw new OptionError('BAD_COMBINATION',
      `Option ${option} has a number for each parameter of the subnetwork, in the order of the network, and the `
        + 'indices do not ascend (option subnetwork): sort them, and the numbers with them.', { option })
  }
}

/** Whether nothing is said of the prior and its tuning. */
export function leavesPriorOpen(
  { tune, priorPrecision, priorMean, temperature, priorStructure, kfacApprox, curvature = 'ggn' }: PlainOptions,
): boolean {
  return curvature === 'ggn' && (tune === undefined || tune === 'auto' || tune === 'validated') &&
    priorPrecision === undefined
    && priorMean === undefined && temperature === undefined && (kfacApprox === undefined || kfacApprox === 'expand')
    && (priorStructure === undefined || priorStructure === 'scalar')
}
