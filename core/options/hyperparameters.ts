/** @file The hyper-parameters of a posterior. */

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

/** A standard normal prior, noise of 1, and the posterior of Bayes' rule. */
export const DEFAULT_SETTINGS: PosteriorSettings = { priorPrecision: 1, priorMean: 0, sigmaNoise: 1, temperature: 1 }

/** The factor of H in P: 1 / (sigma^2 T). */
export function hessianFactor({ sigmaNoise, temperature }: PosteriorSettings): number {
  return 1 / (sigmaNoise * sigmaNoise * temperature)
}
