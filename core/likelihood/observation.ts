/** @file What a likelihood of numbers says of a new observation whose outputs f are uncertain. */
import type { RealArray } from '../kernels/linear-algebra.js'

/** Of a new observation y given f ~ N(mean, diag v), N x K each; the law of total variance parts Var[y]. */
export interface ObservationMoments {
  /** E[y]. */
  readonly mean: Float64Array
  /** E[Var[y | f]]: what would stay if the network were certain. */
  readonly aleatoric: Float64Array
  /** Var[E[y | f]]: what the network does not know. */
  readonly epistemic: Float64Array
}

/**
 * A new observation of K numbers, in the units of the targets. Outputs `f` and their variances `v` are N x C, targets
 * N x K.
 */
export interface Observation {
  /** E[y | f], N x K. */
  means(f: RealArray, examples: number, outputs: number): Float64Array
  /** Var[y | f], N x K. */
  variances(f: RealArray, examples: number, outputs: number): Float64Array
  /** Moments over f ~ N(f, diag v), in closed form. */
  moments(f: Float64Array, v: Float64Array, examples: number, outputs: number): ObservationMoments
  /** -log p(y) of the predictive distribution, mean over all targets. */
  nll(f: Float64Array, v: Float64Array, y: Float64Array, examples: number, outputs: number): number
  /** The quantile p of a new observation, N x K. */
  quantiles(p: number, f: Float64Array, v: Float64Array, examples: number, outputs: number): Float64Array
  /** The quantile p of E[y | f] alone, N x K. */
  meanQuantiles(p: number, f: Float64Array, v: Float64Array, examples: number, outputs: number): Float64Array
}
