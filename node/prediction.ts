/** @file The type of a prediction: what it has depends on the likelihood, and the compiler knows it. */
import type { NdArray } from 'ndarray'
import type { Prediction as TensorPrediction } from '../core/answer/prediction.js'
import type { Likelihood, LogitLikelihood, NumberLikelihood } from '../core/options/words.js'
import type { Tensor } from '../core/tensor/tensor.js'

/** An array of results, in the element type of the core's tensor. */
export type Array64 = NdArray<Float32Array | Float64Array | Uint8Array>

/** All parts of a prediction, as ndarrays. */
type Parts = {
  readonly [K in keyof TensorPrediction]: TensorPrediction[K] extends Tensor | undefined ? Array64
    : TensorPrediction[K]
}

type Part = keyof Parts

/** What predictions of each likelihood always have, beside what all of them have. */
type Always<L extends Likelihood> = L extends LogitLikelihood ? 'probabilities'
  : L extends 'regression' ? 'predictiveVariance'
  : L extends NumberLikelihood ? 'predictiveMean' | 'predictiveVariance'
  : never

/** What they have where it is asked for, or where the fit gives it. */
type Sometimes<L extends Likelihood> =
  | 'covariance'
  | 'seed'
  | 'novelty'
  | 'noveltyScore'
  | (L extends LogitLikelihood ? 'aleatoric' | 'epistemic' | 'sets' | 'level' | 'interval'
    : L extends NumberLikelihood
      ? 'aleatoric' | 'epistemic' | 'lower' | 'upper' | 'quantiles' | 'level' | 'interval' | 'predictiveCovariance'
    : never)

/** Of several likelihoods: what predictions of every one of them have. */
type InAll<L extends Likelihood> = {
  [K in Part]: [L] extends [{ [M in Likelihood]: K extends Always<M> ? M : never }[Likelihood]] ? K : never
}[Part]

/** Of several likelihoods: what predictions of some of them have. */
type InSome<L extends Likelihood> = L extends Likelihood ? Always<L> | Sometimes<L> : never

/**
 * A prediction for N rows, as ndarrays; see the core's `Prediction` for shapes and units. Of a known likelihood it has
 * what that likelihood gives and nothing else: `probabilities` of classes, `predictiveVariance` of a regression.
 */
export type Prediction<L extends Likelihood = Likelihood> =
  & Pick<Parts, 'mean' | 'variance' | 'notes'>
  & { readonly [K in InAll<L>]-?: NonNullable<Parts[K]> }
  & { readonly [K in Exclude<InSome<L>, InAll<L>>]?: NonNullable<Parts[K]> }
