/** @file The hyper-parameters of a posterior. */
import { number, numbers } from './option-values.js'

/** The hyper-parameters of a posterior. */
export interface PosteriorSettings {
  /** delta: one number, one per tensor, or one per parameter (not for kron). */
  readonly priorPrecision: number | Float64Array
  /** mu0: one number, or one per parameter. */
  readonly priorMean: number | Float64Array
  /** sigma: 1 except for regression. */
  readonly sigmaNoise: number
  readonly temperature: number
}

/** The precision where there is one, the first where there are several. */
export function onePrecision(priorPrecision: number | Float64Array): number {
  return typeof priorPrecision === 'number' ? priorPrecision : priorPrecision[0]
}

/** A standard normal prior, noise of 1, and the posterior of Bayes' rule. */
export const DEFAULT_SETTINGS: PosteriorSettings = { priorPrecision: 1, priorMean: 0, sigmaNoise: 1, temperature: 1 }

/** The factor of H in P: 1 / (sigma^2 T). */
export function hessianFactor({ sigmaNoise, temperature }: PosteriorSettings): number {
  return 1 / (sigmaNoise * sigmaNoise * temperature)
}

/** New hyper-parameters. */
export interface PriorChanges {
  readonly priorPrecision?: number | ArrayLike<number> | undefined
  readonly priorMean?: number | ArrayLike<number> | undefined
  readonly sigmaNoise?: number | undefined
  readonly temperature?: number | undefined
}

/** The names of the hyper-parameters that `withPrior` takes. */
export const PRIOR_CHANGES: readonly (keyof PriorChanges)[] = ['priorPrecision', 'priorMean', 'sigmaNoise',
  'temperature']

/**
 * The changes in the form of the settings: only what was given, lists as float64.
 * @throws OptionError BAD_OPTION
 */
export function givenSettings(changes: PriorChanges): Partial<PosteriorSettings> {
  const { priorPrecision, priorMean, sigmaNoise, temperature } = changes
  return {
    ...(priorPrecision === undefined ? {} : { priorPrecision: numbers('priorPrecision', priorPrecision) }),
    ...(priorMean === undefined ? {} : { priorMean: numbers('priorMean', priorMean) }),
    ...(sigmaNoise === undefined ? {} : { sigmaNoise: number('sigmaNoise', sigmaNoise) }),
    ...(temperature === undefined ? {} : { temperature: number('temperature', temperature) }),
  }
}
