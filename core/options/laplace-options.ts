/** @file The options of a Laplace approximation, as they are given. */
import type { Batch } from '../tensor/batch.js'
import type { SubnetworkChoice, TensorChoice } from './parameter-choice.js'
import type { BlockChoice, Calibration, CurvatureKind, EngineName, KfacApproximation, Likelihood, Positions, Precision,
  PriorStructure, Structure, SubsetChoice, TuneMethod } from './words.js'

/** What can be chosen of a Laplace approximation. Only the likelihood must be. */
export interface LaplaceOptions {
  readonly likelihood: Likelihood
  /**
   * Which parameters get a posterior. `auto`, the default: all weights by their linear model where that is small enough
   * and the network has derivatives, else the last layer's; the result says which and why.
   */
  readonly subset?: SubsetChoice | undefined
  /** The parameters of subset `subnetwork`, the only ones that are uncertain. */
  readonly subnetwork?: SubnetworkChoice | undefined
  /** One of `STRUCTURES`; `gp` is another word for `functional`. */
  readonly structure?: Structure | 'gp' | undefined
  /** Of structure `blockdiag`: a block a layer (its weight and bias together, the default) or a tensor. */
  readonly blocks?: BlockChoice | undefined
  /**
   * Of structure `lowrank` at the network's weights: a number of eigenvectors, or below 1 the share of the trace of H
   * that they have. Without it `lowrank` is the linear model over all weights at its own mode.
   */
  readonly rank?: number | undefined
  /** Of structure `functional`: examples drawn by the seed, whose rows are kept; all of them by default. */
  readonly nSubset?: number | undefined
  /**
   * Of structure `functional`: each output has a process of its own, by the diagonal of the likelihood's Hessian, and
   * nothing is known of what outputs have in common.
   */
  readonly independentOutputs?: boolean | undefined
  /**
   * Of structure `functional`: the kernel of Jacobians is approximated by their part in the span of the Jacobians of
   * `nSubset` examples, the landmarks, and the data of all rows count there (Nystroem; Deng, Zhou and Zhu 2022).
   * Directions outside of the span have no variance.
   */
  readonly nystroem?: boolean | undefined
  /** Of structure `samples`: draws of the weights that are solved for; 64 by default. */
  readonly samples?: number | undefined
  readonly curvature?: CurvatureKind | undefined
  /** Of curvature `mc_fisher`: labels that are drawn for each row; 1 by default. */
  readonly draws?: number | undefined
  /** How Kronecker factors treat positions that share a weight. */
  readonly kfacApprox?: KfacApproximation | undefined
  /**
   * One number, one per tensor, or one per parameter (not for kron). When it is given, nothing is tuned unless `tune`
   * is.
   */
  readonly priorPrecision?: number | ArrayLike<number> | undefined
  readonly priorMean?: number | ArrayLike<number> | undefined
  /**
   * Standard deviation of the observations (regression), one number or one an output; tuned when it is not given. Rows
   * of a matrix, C x C, are the covariance of the noises of the outputs, where these are correlated; `full` is the one
   * that maximises the evidence at the network's weights.
   */
  readonly sigmaNoise?: number | ArrayLike<number> | readonly ArrayLike<number>[] | 'full' | undefined
  readonly temperature?: number | undefined
  /** Of likelihood `custom`: the number K of columns of a root of Lambda; 1 by default. */
  readonly roots?: number | undefined
  /** Of classes and labels: the share of label smoothing, 0 to 1; loss and evidence are of the smoothed labels. */
  readonly labelSmoothing?: number | undefined
  /**
   * Of classification and binary: how much each class counts, one number a class, or `balanced`: N / (K N_c). The rows
   * get these weights.
   */
  readonly classWeight?: 'balanced' | ArrayLike<number> | undefined
  /** How the prior precision is tuned. */
  readonly tune?: TuneMethod | undefined
  readonly priorStructure?: PriorStructure | undefined
  /**
   * Rows that the network has not been trained on, or the share of the rows given to `fit` that are held out of it
   * (drawn by the seed; of use only where the network has not seen them). With them the prior is tuned by `validated`
   * unless told otherwise.
   */
  readonly validation?: Batch | number | undefined
  /** A baseline in place of the posterior's answer: the network with a temperature fitted to the held-out rows. */
  readonly calibrate?: Calibration | undefined
  readonly seed?: number | undefined
  readonly engine?: EngineName | undefined
  /** What the network is computed in; by default as its weights are. */
  readonly precision?: Precision | undefined
  /** By default as many as there are processors. */
  readonly threads?: number | undefined
  /** Which input and output to use, where the network has several. */
  readonly input?: string | undefined
  readonly output?: string | undefined
  /** The layer that is meant by subset 'last_layer': the name of a module, of a parameter or of a node. */
  readonly lastLayerName?: string | undefined
  /** The tensors that are parameters, in the order of theta: names, globs, indices. By default those of the network. */
  readonly parameters?: TensorChoice | undefined
  /** Parameters that keep their values and take no part: names, globs, indices. */
  readonly freeze?: TensorChoice | undefined
  /**
   * Of a network that answers at several positions of an example (tokens, pixels, times): `each` is a term of the
   * likelihood with a label of its own, the default; or the `first`, the `last` or the `mean` of all answers for the
   * example.
   */
  readonly positions?: Positions | undefined
  /**
   * The axis of such an output that holds the classes or outputs, the examples being axis 0; by default the one that
   * the labels fit, or that of the network's head.
   */
  readonly classAxis?: number | undefined
  /** Examples that are computed at once; by default as many as fit into the processor's caches. */
  readonly batchSize?: number | undefined
  /** Bytes that the posterior may need. */
  readonly memoryLimit?: number | undefined
}

/** The names of these options. */
export const LAPLACE_OPTIONS: readonly (keyof LaplaceOptions)[] = [
  'likelihood',
  'subset',
  'subnetwork',
  'structure',
  'blocks',
  'rank',
  'nSubset',
  'independentOutputs',
  'nystroem',
  'samples',
  'curvature',
  'draws',
  'kfacApprox',
  'priorPrecision',
  'priorMean',
  'sigmaNoise',
  'temperature',
  'roots',
  'labelSmoothing',
  'classWeight',
  'tune',
  'priorStructure',
  'validation',
  'calibrate',
  'seed',
  'engine',
  'precision',
  'threads',
  'input',
  'output',
  'lastLayerName',
  'parameters',
  'freeze',
  'positions',
  'classAxis',
  'batchSize',
  'memoryLimit',
]

/** A noise that is given, and not to be found. */
export type GivenNoise = Exclude<LaplaceOptions['sigmaNoise'], 'full' | undefined>

/** Options with one word for each structure, and a noise that is numbers. */
export type PlainOptions = Omit<LaplaceOptions, 'structure' | 'sigmaNoise'> & {
  readonly structure?: Structure | undefined
  readonly sigmaNoise?: GivenNoise | undefined
}
