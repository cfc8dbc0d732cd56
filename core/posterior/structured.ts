/** @file The posterior of a curvature. */
import type { PosteriorCurvature } from '../curvature/curvature.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { DEFAULT_SETTINGS, type PosteriorSettings } from '../options/hyperparameters.js'
import { blockDiagonalPosterior } from './block-diagonal.js'
import { diagonalPosterior } from './diagonal.js'
import { ekfacPosterior } from './ekfac.js'
import { factoredPosterior } from './factored.js'
import { fullPosterior } from './full.js'
import { kronPosterior } from './kron.js'
import { lowRankPosterior } from './low-rank.js'
import type { StructuredPosterior } from './posterior.js'
import { processPosterior } from './process.js'
import { samplesPosterior } from './samples.js'

/**
 * The posterior around `mean` (theta of the subset, in the slots' order).
 * @throws OptionError BAD_OPTION when the settings do not fit the parameters or the structure
 */
export function structuredPosterior(curvature: PosteriorCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: Partial<PosteriorSettings> = {}): StructuredPosterior {
  const all = { ...DEFAULT_SETTINGS, ...settings }
  switch (curvature.structure) {
    case 'full':
      return fullPosterior(curvature, slots, mean, all)
    case 'blockdiag':
      return blockDiagonalPosterior(curvature, slots, mean, all)
    case 'diag':
      return diagonalPosterior(curvature, slots, mean, all)
    case 'kron':
      return kronPosterior(curvature, slots, mean, all)
    case 'ekfac':
      return ekfacPosterior(curvature, slots, mean, all)
    case 'factored':
      return factoredPosterior(curvature, slots, mean, all)
    case 'process':
      return processPosterior(curvature, slots, mean, all)
    case 'samples':
      return samplesPosterior(curvature, slots, mean, all)
    case 'lowrank':
      return lowRankPosterior(curvature, slots, mean, all)
  }
}
