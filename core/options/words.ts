/**
 * @file The words of the options: the same in every language, on the command line and on the wire. The first is the
 * default.
 */
import type { Precision } from '../tensor/tensor.js'

export const LIKELIHOODS = ['classification', 'binary', 'multilabel', 'regression'] as const
export const SUBSETS = ['last_layer', 'all'] as const
export const STRUCTURES = ['kron', 'full', 'diag'] as const
export const CURVATURES = ['ggn'] as const
export const TUNE_METHODS = ['linearized', 'marglik', 'grid', 'none'] as const
export const PRIOR_STRUCTURES = ['scalar', 'layerwise', 'diagonal'] as const
export const LINKS = ['probit', 'mc', 'bridge', 'bridge_norm', 'mean_field_1', 'mean_field_2', 'map'] as const
export const PREDICTIVES = ['glm', 'nn'] as const
export const ENGINES = ['auto', 'typescript', 'onnxruntime'] as const
export const KFAC_APPROXIMATIONS = ['expand', 'reduce'] as const
export const PRECISIONS = ['float32', 'float64'] as const

export type Likelihood = (typeof LIKELIHOODS)[number]
export type Subset = (typeof SUBSETS)[number]
export type Structure = (typeof STRUCTURES)[number]
export type CurvatureKind = (typeof CURVATURES)[number]
export type TuneMethod = (typeof TUNE_METHODS)[number]
export type PriorStructure = (typeof PRIOR_STRUCTURES)[number]
export type Link = (typeof LINKS)[number]
export type Predictive = (typeof PREDICTIVES)[number]
export type EngineName = (typeof ENGINES)[number]
export type KfacApproximation = (typeof KFAC_APPROXIMATIONS)[number]
export type { Precision }
