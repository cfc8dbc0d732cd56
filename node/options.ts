/** @file The options as Node programs give them: combinations that cannot work do not type-check. */
import type { Progress } from '../core/budget/progress.js'
import type { LaplaceOptions as CoreOptions } from '../core/options/laplace-options.js'
import type { ArrayInput, ExamplesInput } from './arrays.js'

/** Examples and their labels, as arrays of any kind that the package accepts. */
export interface ArrayBatch {
  readonly x: ExamplesInput
  readonly y: ArrayInput
}

/** Long work can be followed and cancelled. */
export interface WorkOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** sigmaNoise is the observation noise of regression, one number or one an output; the other likelihoods have none. */
type LikelihoodChoice =
  | { readonly likelihood: 'regression', readonly sigmaNoise?: number | ArrayLike<number> | undefined }
  | { readonly likelihood: 'classification' | 'binary' | 'multilabel', readonly sigmaNoise?: undefined }

/** One prior precision for each parameter is not for Kronecker factors. */
type StructureChoice =
  | { readonly structure?: 'kron' | 'full' | 'diag' | 'lowrank' | undefined,
    readonly priorStructure?: 'scalar' | 'layerwise' | undefined }
  | { readonly structure: 'full' | 'diag', readonly priorStructure: 'diagonal' }

/** `linearized` is for the last layer; `grid` and `validated` need held-out examples. */
type TuneChoice =
  | { readonly tune?: 'auto' | 'marglik' | 'none' | undefined,
    readonly subset?: 'auto' | 'last_layer' | 'all' | undefined, readonly validation?: ArrayBatch | number | undefined }
  | { readonly tune: 'linearized', readonly subset?: 'last_layer' | undefined,
    readonly validation?: ArrayBatch | undefined }
  | { readonly tune: 'grid', readonly subset?: 'last_layer' | 'all' | undefined,
    readonly validation: ArrayBatch | number }
  | { readonly tune: 'validated', readonly subset?: 'auto' | 'last_layer' | 'all' | undefined,
    readonly validation: ArrayBatch | number }

type Remaining = Omit<CoreOptions,
  'likelihood' | 'sigmaNoise' | 'structure' | 'priorStructure' | 'tune' | 'subset' | 'validation'>

/**
 * The options of `laplace`; only the likelihood must be given. Words and defaults: docs of the core's `LaplaceOptions`.
 */
export type LaplaceOptions = Remaining & LikelihoodChoice & StructureChoice & TuneChoice
