/** @file How the prior will be tuned when a fit is complete. */
import { hasLinearModel, withoutLinearModel } from '../options/combinations.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { TuneMethod } from '../options/words.js'

/** How the prior will be tuned, and a note where that is not what a user may assume. */
export interface TuningPlan {
  readonly tune: TuneMethod
  readonly chosen: boolean
  readonly note?: string
}

/**
 * The method that was asked for; else none where the prior is given, `validated` where there are held-out rows, `auto`
 * where there are none, and `marglik` for several precisions.
 */
export function planTuning(
  { likelihood, tune, settings, subset, priorStructure, validation, curvature, subsetName, factored, classWeight,
    noiseCovariance: given, tuneCovariance }: ResolvedOptions,
): TuningPlan {
  const noiseCovariance = tuneCovariance ? true : given
  if (tune !== undefined) return { tune, chosen: true }
  if (settings.priorPrecision !== undefined) return { tune: 'none', chosen: false }
  const linear = hasLinearModel({ likelihood, classWeight, noiseCovariance })
  if (!linear || curvature !== 'ggn' || subsetName === 'subnetwork' || factored !== undefined) {
    const scalar = priorStructure === 'scalar' && validation !== undefined
    return { tune: scalar ? 'grid' : 'marglik', chosen: false,
      note: `The prior precision was tuned by '${
        scalar ? 'grid' : 'marglik'
      }': other ways are by the linear model, which ${
        linear
          ? "is one of whole layers and of curvature 'ggn'"
          : `${withoutLinearModel({ likelihood, classWeight, noiseCovariance })} does not have`
      }.` }
  }
  if (priorStructure === 'scalar' && validation !== undefined) return { tune: 'validated', chosen: false }
  if (priorStructure === 'scalar' || subset === 'last_layer' && priorStructure === 'layerwise') {
    return { tune: 'auto', chosen: false }
  }
  return { tune: 'marglik', chosen: false,
    note: "The prior precision was tuned by the marginal likelihood at the network's weights ('marglik'): tuning by " +
      "'linearized' is for the last layer with one precision, or one for each tensor. With held-out data 'grid' is " +
      'safer.' }
}
