/** @file What is known of a posterior, as plain values. */
import type { Likelihood, Structure, Subset, TuneMethod } from '../options/words.js'

/** What is known of a posterior, as plain values. */
export interface PosteriorSummary {
  readonly likelihood: Likelihood
  readonly subset: Subset
  readonly structure: Structure
  readonly curvature: string
  readonly outputs: number
  readonly parameterCount: number
  readonly examples: number
  readonly loss: number
  readonly logLikelihood: number
  readonly logMarginalLikelihood: number
  readonly priorPrecision: Float64Array
  readonly priorMean: Float64Array
  readonly sigmaNoise: number
  readonly temperature: number
  readonly tuned: TuneMethod
  readonly effectiveParameters: number | undefined
  readonly precision: string
  readonly engine: string
  readonly seed: number
  readonly notes: readonly string[]
  readonly digest: string
  readonly parameters: readonly { readonly name: string, readonly shape: readonly number[], readonly size: number }[]
}

export function asArray(value: number | Float64Array): Float64Array {
  return typeof value === 'number' ? Float64Array.of(value) : value
}
