/** @file The options as Node programs give them: combinations that cannot work do not type-check. */
import type { Progress } from '../core/budget/progress.js'
import type { LaplaceOptions as CoreOptions } from '../core/options/laplace-options.js'
import type { SubnetworkChoice } from '../core/options/parameter-choice.js'
import type { ArrayInput, ExamplesInput } from './arrays.js'
import type { OwnLikelihood } from './own-likelihood.js'

/** Examples and their labels, as arrays of any kind that the package accepts. */
export interface ArrayBatch {
  readonly x: ExamplesInput
  readonly y: ArrayInput
  /** How often each row counts in a fit; once where there are none. */
  readonly sampleWeight?: ArrayInput | undefined
}

/** Long work can be followed and cancelled. */
export interface WorkOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** How often each row of a fit counts, beside what long work accepts. */
export interface FitWork extends WorkOptions {
  /**
   * N numbers that are not negative: 2 is the row twice, 0 no row. Where rows are kept for their linear model (no
   * option set) they are whole numbers; with a structure and a prior that is given, or tuned by `marglik` or `grid`,
   * any.
   */
  readonly sampleWeight?: ArrayInput | undefined
}

/** What each likelihood takes beside its name. */
interface LikelihoodOptions {
  /** Of regression: the observation noise, one number or one an output. */
  readonly sigmaNoise?: CoreOptions['sigmaNoise']
  /** Of classes and labels: the share of label smoothing. */
  readonly labelSmoothing?: CoreOptions['labelSmoothing']
  /** Of classes: how much each of them counts. */
  readonly classWeight?: CoreOptions['classWeight']
}

/** A likelihood with those options alone that belong to it. */
type LikelihoodWith<Name extends CoreOptions['likelihood'], Own extends keyof LikelihoodOptions> =
  & { readonly likelihood: Name }
  & Pick<LikelihoodOptions, Own>
  & { readonly [Other in Exclude<keyof LikelihoodOptions, Own>]?: undefined }

type LikelihoodChoice =
  | LikelihoodWith<'regression', 'sigmaNoise'>
  | LikelihoodWith<'classification' | 'binary', 'labelSmoothing' | 'classWeight'>
  | LikelihoodWith<'multilabel', 'labelSmoothing'>
  | LikelihoodWith<'heteroscedastic' | 'poisson' | 'reward_modeling', never>
  | { readonly likelihood: OwnLikelihood } & { readonly [Other in keyof LikelihoodOptions]?: undefined }

/** One prior precision for each parameter is not for Kronecker factors; blocks are those of `blockdiag`. */
type StructureChoice =
  | { readonly structure?: 'kron' | 'full' | 'diag' | 'ekfac' | 'lowrank' | 'functional' | 'samples' | undefined,
    readonly blocks?: undefined, readonly priorStructure?: 'scalar' | 'layerwise' | undefined }
  | { readonly structure: 'full' | 'diag', readonly priorStructure: 'diagonal', readonly blocks?: undefined }
  | { readonly structure: 'blockdiag', readonly blocks?: 'layer' | 'tensor' | undefined,
    readonly priorStructure?: 'scalar' | 'layerwise' | 'diagonal' | undefined }

/** A subnetwork is the one subset that takes more than a word. */
type SubsetChoice<Word extends string> = { readonly subset?: Word | undefined, readonly subnetwork?: undefined }

type SubnetworkSubset = { readonly subset: 'subnetwork', readonly subnetwork: SubnetworkChoice }

/** `linearized` is for the last layer; `grid` and `validated` need held-out examples. */
type TuneChoice =
  | { readonly tune?: 'auto' | 'marglik' | 'none' | undefined, readonly validation?: ArrayBatch | number | undefined }
    & SubsetChoice<'auto' | 'last_layer' | 'all'>
  | { readonly tune?: 'marglik' | 'none' | undefined, readonly validation?: ArrayBatch | number | undefined }
    & SubnetworkSubset
  | { readonly tune: 'linearized', readonly validation?: ArrayBatch | undefined } & SubsetChoice<'last_layer'>
  | { readonly tune: 'grid', readonly validation: ArrayBatch | number }
    & (SubsetChoice<'last_layer' | 'all'> | SubnetworkSubset)
  | { readonly tune: 'validated', readonly validation: ArrayBatch | number }
    & (SubsetChoice<'auto' | 'last_layer' | 'all'> | SubnetworkSubset)

type Remaining = Omit<CoreOptions,
  'likelihood' | keyof LikelihoodOptions | 'roots' | 'structure' | 'blocks' | 'priorStructure' | 'tune' | 'subset'
    | 'subnetwork' | 'validation'>

/**
 * The options of `laplace`; only the likelihood must be given. Words and defaults: docs of the core's `LaplaceOptions`.
 */
export type LaplaceOptions = Remaining & LikelihoodChoice & StructureChoice & TuneChoice
