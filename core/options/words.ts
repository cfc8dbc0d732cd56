/**
 * @file The words of the options: the same in every language, on the command line and on the wire. The first is the
 * default.
 */
import type { Precision } from '../tensor/tensor.js'

/** Likelihoods of classes and labels: the outputs are logits, and predictions probabilities. */
export const LOGIT_LIKELIHOODS = ['classification', 'binary', 'multilabel'] as const
/** Likelihoods of numbers. */
export const NUMBER_LIKELIHOODS = ['regression', 'heteroscedastic', 'poisson'] as const
/** Likelihoods of tables, where a row has its own label. */
export const ROW_LIKELIHOODS = [...LOGIT_LIKELIHOODS, ...NUMBER_LIKELIHOODS] as const
/**
 * What the outputs are: logits of exclusive classes, of one label, of independent labels; means; means and logarithms
 * of variances; logarithms of rates; rewards, learnt from pairs of which one was preferred.
 */
const NAMED_LIKELIHOODS = [...ROW_LIKELIHOODS, 'reward_modeling'] as const
/** With that of the user's own functions. */
export const LIKELIHOODS = [...NAMED_LIKELIHOODS, 'custom'] as const
/** Which weights are uncertain, where it takes no more to say it. */
export const WHOLE_SUBSETS = ['last_layer', 'all'] as const
/** Which weights are uncertain. */
export const SUBSETS = [...WHOLE_SUBSETS, 'subnetwork'] as const
/** Which weights are uncertain; `auto` leaves it to the fit. */
export const SUBSET_CHOICES = ['auto', ...SUBSETS] as const
/**
 * Structures whose curvature is a sum over the data: Kronecker factors of each tensor, all of H, its diagonal, or its
 * blocks.
 */
export const SUM_STRUCTURES = ['kron', 'full', 'diag', 'blockdiag'] as const
/** What the blocks of structure `blockdiag` are: the tensors of a layer together, or each tensor. */
export const BLOCKS = ['layer', 'tensor'] as const
/**
 * What is kept of H: a sum over the data, the leading eigenvectors (at the mode of the linear model, or with a rank at
 * the network's weights), the rows of a part of the data, or draws of the weights from the posterior.
 */
export const STRUCTURES = [...SUM_STRUCTURES, 'ekfac', 'lowrank', 'functional', 'samples'] as const
/**
 * Which curvature stands for the Hessian: the generalised Gauss-Newton matrix, outer products of the gradients at the
 * labels or at labels drawn from the model, or the Hessian itself.
 */
export const CURVATURES = ['ggn', 'empirical_fisher', 'mc_fisher', 'hessian'] as const
/**
 * How the prior is tuned: by what the training rows say without held-out ones, by held-out rows (prior, mean and link
 * together), at the linear model's own mode, by the evidence, on a grid by held-out rows, or not.
 */
export const TUNE_METHODS = ['auto', 'validated', 'linearized', 'marglik', 'grid', 'none'] as const
/** Baselines that can answer in place of a posterior: the network with one temperature fitted to held-out rows. */
export const CALIBRATIONS = ['temperature'] as const
/** What shares one prior precision: all weights, those of a tensor, or none. */
export const PRIOR_STRUCTURES = ['scalar', 'layerwise', 'diagonal'] as const
/** How probabilities follow from the Gaussian over outputs. */
export const LINKS = ['probit', 'mc', 'bridge', 'bridge_norm', 'mean_field_1', 'mean_field_2', 'zero_sum', 'pairwise',
  'map'] as const
/** What predicts: the linearised network, or the network with weights drawn from the posterior. */
export const PREDICTIVES = ['glm', 'nn'] as const
/** What computes; `auto` chooses by the amount of work and by what is available. */
export const ENGINES = ['auto', 'typescript', 'onnxruntime'] as const
/** How Kronecker factors treat shared weights (Eschenhagen et al. 2023). */
export const KFAC_APPROXIMATIONS = ['expand', 'reduce'] as const
/** Which position of an output with several positions answers for its example. */
export const POSITIONS = ['each', 'first', 'last', 'mean'] as const
/** The element types that a network is computed in. */
export const PRECISIONS = ['float32', 'float64'] as const

/** One of `LIKELIHOODS`. */
export type Likelihood = (typeof LIKELIHOODS)[number]
/** One of `LOGIT_LIKELIHOODS`. */
export type LogitLikelihood = (typeof LOGIT_LIKELIHOODS)[number]
/** One of `NUMBER_LIKELIHOODS`. */
export type NumberLikelihood = (typeof NUMBER_LIKELIHOODS)[number]
/** One of `SUBSET_CHOICES`. */
export type SubsetChoice = (typeof SUBSET_CHOICES)[number]
/** One of `SUBSETS`. */
export type Subset = (typeof SUBSETS)[number]
/** One of `SUM_STRUCTURES`. */
export type SumStructure = (typeof SUM_STRUCTURES)[number]
/** One of `BLOCKS`. */
export type BlockChoice = (typeof BLOCKS)[number]
/** What is summed: a structure, and of `blockdiag` what its blocks are (`layer` by default). */
export interface SumShape {
  readonly structure: SumStructure
  readonly blocks?: BlockChoice | undefined
}
/** One of `STRUCTURES`. */
export type Structure = (typeof STRUCTURES)[number]
/** One of `CURVATURES`. */
export type CurvatureKind = (typeof CURVATURES)[number]
/** One of `TUNE_METHODS`. */
export type TuneMethod = (typeof TUNE_METHODS)[number]
/** One of `CALIBRATIONS`. */
export type Calibration = (typeof CALIBRATIONS)[number]
/** One of `PRIOR_STRUCTURES`. */
export type PriorStructure = (typeof PRIOR_STRUCTURES)[number]
/** One of `LINKS`. */
export type Link = (typeof LINKS)[number]
/** One of `PREDICTIVES`. */
export type Predictive = (typeof PREDICTIVES)[number]
/** One of `ENGINES`. */
export type EngineName = (typeof ENGINES)[number]
/** One of `POSITIONS`. */
export type Positions = (typeof POSITIONS)[number]
/** One of `KFAC_APPROXIMATIONS`. */
export type KfacApproximation = (typeof KFAC_APPROXIMATIONS)[number]
export type { Precision }
