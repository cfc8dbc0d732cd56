/** @file The evidence of a posterior: at the network's weights, and at the mode of its linear model. */
import { likelihoodModel } from '../likelihood/registry.js'
import { givenSettings, type PosteriorSettings, type PriorChanges } from '../options/hyperparameters.js'
import { logDetRatio, logLikelihood } from '../posterior/evidence.js'
import { priorScatter } from '../posterior/posterior.js'
import { networkScores } from '../tuning/training-scores.js'
import { checkNoiseChange, noiseOf, type PosteriorState, termCount } from './posterior-state.js'
import { representable } from './representable.js'

/** log p(D | theta) at the network's weights under some settings. */
export function logLikelihoodOf(state: PosteriorState, settings: PosteriorSettings): number {
  const { options, loss, evaluator, choice, training } = state
  const examples = termCount(state)
  const { outputs } = evaluator.network
  // Outputs with noises of their own have no common factor of the loss.
  if (options.likelihood === 'regression' && outputs > 1 && choice?.sigmaNoise !== undefined) {
    const { nll } = training === undefined
      ? { nll: choice.networkNll }
      : networkScores(training.agreement, loss, noiseOf(state))
    return representable(-nll * examples * outputs, 'The log likelihood')
  }
  return representable(
    logLikelihood({ likelihood: likelihoodModel(options.likelihood, options), loss, examples, outputs }, settings),
    'The log likelihood',
  )
}

/**
 * log p(D) = log p(D | theta) - 1/2 (log|P| - log|P0| + scatter) at the network's weights (MacKay 1992), also for other
 * hyper-parameters. After tuning by the linear model P is that of its mode.
 * @throws OptionError BAD_OPTION; NumericalError NOT_POSITIVE_DEFINITE
 */
export function evidenceOf(state: PosteriorState,
  changes: Pick<PriorChanges, 'priorPrecision' | 'sigmaNoise'> = {}): number {
  checkNoiseChange(state, changes)
  const structured = state.structured.withSettings(givenSettings(changes))
  const fit = logLikelihoodOf(state, structured.settings)
  return representable(fit - 0.5 * (logDetRatio(structured) + structured.scatter()), 'The log evidence')
}

/** log p(D) of the linear model at its own mode; undefined where there is none. */
export function evidenceAtMode(state: PosteriorState): number | undefined {
  const { structured, mode, options, evaluator } = state
  const { curvature, settings, slots } = structured
  if (curvature.structure === 'lowrank') return curvature.models.reduce((sum, { evidence }) => sum + evidence, 0)
  if (mode === undefined) return undefined
  // Loss, scatter and H are of the same weights: mixed, the evidence still has a maximum, at a wrong delta.
  const fit = logLikelihood({ likelihood: likelihoodModel(options.likelihood, options), loss: mode.loss,
    examples: termCount(state), outputs: evaluator.network.outputs }, settings)
  return representable(fit - 0.5 * (logDetRatio(structured) + priorScatter(mode.weights, settings, slots)),
    'The log evidence')
}
