/** @file Kronecker-factored posterior: the prior is added exactly to the products of eigenvalues. */
import type { Curvature } from '../curvature/curvature.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { eigenBlocks } from './eigen-block.js'
import { eigenPosterior } from './eigen-posterior.js'
import { once, type StructuredPosterior } from './posterior.js'

/** The posterior of Kronecker factors; both are decomposed once, for any prior. */
export function kronPosterior(curvature: Extract<Curvature, { structure: 'kron' }>, slots: readonly ParameterSlot[],
  mean: Float64Array, settings: PosteriorSettings): StructuredPosterior {
  return eigenPosterior(curvature, once(() => eigenBlocks(curvature, slots)), slots, mean, settings)
}
