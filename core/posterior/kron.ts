/** @file Kronecker-factored posterior: the prior is added exactly to the products of eigenvalues. */
import type { Curvature } from '../curvature/curvature.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { kronBlocks } from './eigen-block.js'
import { eigenPosterior } from './eigen-posterior.js'
import { factorEigens } from './factor-eigen.js'
import { once, type StructuredPosterior } from './posterior.js'

/** The posterior of Kronecker factors; both are decomposed once, for any prior. */
export function kronPosterior(curvature: Extract<Curvature, { structure: 'kron' }>, slots: readonly ParameterSlot[],
  mean: Float64Array, settings: PosteriorSettings): StructuredPosterior {
  const eigens = once(() => factorEigens(curvature.blocks))
  return eigenPosterior(curvature, once(() => kronBlocks(curvature.blocks, eigens())), slots, mean, settings, eigens)
}
