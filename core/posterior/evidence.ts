/** @file The log marginal likelihood (the evidence) of a Laplace approximation. */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import type { StructuredPosterior } from './posterior.js'

/** What the evidence needs of the data: the loss at the network's weights and the number of examples and outputs. */
export interface DataFit {
  readonly likelihood: LikelihoodModel
  readonly loss: number
  readonly examples: number
  readonly outputs: number
}

/** log p(D | theta): -loss / (sigma^2 T), for regression less N C log(sigma sqrt(2 pi)). */
export function logLikelihood(data: DataFit, settings: PosteriorSettings): number {
  return -hessianFactor(settings) * data.loss +
    data.likelihood.logNormaliser(settings.sigmaNoise, data.examples, data.outputs)
}

/** log|P| - log|P0|. */
export function logDetRatio(posterior: StructuredPosterior): number {
  return posterior.logDetPrecision() - posterior.logDetPrior()
}

/** Where the evidence of a linearised model was taken: its own mode and the loss there. */
export interface EvidenceMode {
  readonly weights: Float64Array
  readonly loss: number
}
