/** @file Diagonal posterior: independent parameters. */
import type { Curvature } from '../curvature/curvature.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { diagonalBlocks } from './eigen-block.js'
import { eigenPosterior } from './eigen-posterior.js'
import { once, type StructuredPosterior } from './posterior.js'

/** The posterior of a diagonal curvature. */
export function diagonalPosterior(curvature: Extract<Curvature, { structure: 'diag' }>, slots: readonly ParameterSlot[],
  mean: Float64Array, settings: PosteriorSettings): StructuredPosterior {
  return eigenPosterior(curvature, once(() => diagonalBlocks(curvature.diagonal, slots)), slots, mean, settings)
}
