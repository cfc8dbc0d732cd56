/** @file The evidence of a posterior: at the network's weights, or at the mode of its linear model. */
import { likelihoodModel } from '../likelihood/registry.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { logDetRatio, logLikelihood } from '../posterior/evidence.js'
import { priorScatter, type StructuredPosterior } from '../posterior/posterior.js'
import { type PriorChanges, settingsFrom } from './posterior-options.js'
import type { PosteriorState } from './posterior-state.js'

/** log p(D | theta) under some settings. */
export function logLikelihoodOf({ options, mode, loss, examples, evaluator }: PosteriorState,
  settings: PosteriorSettings): number {
  // Loss, scatter and H are of the same weights: mixed, the evidence still has a maximum, at a wrong delta.
  return logLikelihood({ likelihood: likelihoodModel(options.likelihood), loss: mode?.loss ?? loss, examples,
    outputs: evaluator.network.outputs }, settings)
}

/** (theta - mu0)' P0 (theta - mu0) under the settings of `structured`. */
export function scatterOf({ mode }: PosteriorState, structured: StructuredPosterior): number {
  return mode === undefined ? structured.scatter() : priorScatter(mode.weights, structured.settings, structured.slots)
}

/**
 * log p(D) = log p(D | theta) - 1/2 (log|P| - log|P0| + scatter) (MacKay 1992), also for other hyper-parameters.
 * @throws OptionError BAD_OPTION; NumericalError NOT_POSITIVE_DEFINITE
 */
export function evidenceOf(state: PosteriorState,
  changes: Pick<PriorChanges, 'priorPrecision' | 'sigmaNoise'> = {}): number {
  const structured = state.structured.withSettings(settingsFrom(changes))
  return logLikelihoodOf(state, structured.settings) - 0.5 * (logDetRatio(structured) + scatterOf(state, structured))
}
