/** @file The covariance of a row's outputs as values of a graph, each form appended when it is first asked for. */
import { once } from '../posterior/posterior.js'
import type { Formulas } from './formulas.js'

/** What a graph can compute of S = J P^-1 J', float64. */
export interface OutputVariance {
  /** The diagonal, N x C. */
  variance(): string
  /** S 1, N x C. */
  rowSums(): string
  /** The variances of f_c - mean f, N x C: those of links that ignore a common shift. */
  centred(): string
  /** N x C x C. */
  covariance(): string
}

/** The sum of some; undefined where there is none. */
export function sumOfVariances(f: Formulas, parts: readonly OutputVariance[]): OutputVariance {
  const sum = (form: keyof OutputVariance) => once(() => parts.map(part => part[form]()).reduce((a, b) => f.add(a, b)))
  return { variance: sum('variance'), rowSums: sum('rowSums'), centred: sum('centred'), covariance: sum('covariance') }
}

/** s S. */
export function scaledVariance(f: Formulas, own: OutputVariance, scale: number): OutputVariance {
  if (scale === 1) return own
  const times = (form: keyof OutputVariance) => once(() => f.mul(own[form](), scale))
  return { variance: times('variance'), rowSums: times('rowSums'), centred: times('centred'),
    covariance: times('covariance') }
}

/**
 * S with what rounding puts below 0 on its diagonal set to 0: what the data determine completely is left with errors of
 * either sign.
 */
export function notNegative(f: Formulas, own: OutputVariance): OutputVariance {
  return { ...own, variance: once(() => f.max(own.variance(), 0)), centred: once(() => f.max(own.centred(), 0)) }
}

/** Independent outputs from their variances, N x 1 each. */
export function independentOutputs(f: Formulas, parts: readonly OutputVariance[]): OutputVariance {
  const count = parts.length
  const variance = once(() => f.concat(parts.map(part => part.variance()), 1))
  const identity = Float64Array.from({ length: count * count }, (_, i) => Number(i % (count + 1) === 0))
  const common = (): string => f.div(f.reduce('ReduceSum', variance(), [1], true), count * count)
  return { variance, rowSums: variance,
    centred: once(() => (count === 1 ? f.mul(variance(), 0) : f.add(f.mul(variance(), 1 - 2 / count), common()))),
    covariance: once(() => f.mul(f.unsqueeze(variance(), [2]), f.matrix(identity, [count, count]))) }
}
