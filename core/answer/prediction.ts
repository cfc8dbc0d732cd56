/** @file What a prediction consists of, and what it is asked for. */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { Link } from '../options/words.js'
import type { Answer } from '../prediction/answer.js'
import type { Tensor } from '../tensor/tensor.js'
import type { IntervalKind } from './interval-kind.js'

/** A prediction for N rows. */
export interface Prediction {
  /** Outputs of the network, N x C: logits, means, means and log variances, or log rates. */
  readonly mean: Tensor
  /** Their variances, N x C, without observation noise. */
  readonly variance: Tensor
  /** N x C (binary: N x 1); absent for likelihoods of numbers. */
  readonly probabilities?: Tensor
  /**
   * Classification: N, expected entropy in nats; binary and multilabel: N x C; regression: N x C, sigma^2; poisson,
   * heteroscedastic: N x K, the expected variance of a new observation. Worked out when it is first read.
   */
  readonly aleatoric?: Tensor
  /**
   * Classification: N, mutual information in nats; binary and multilabel: N x C; regression, poisson, heteroscedastic:
   * N x K, the variance of the mean of a new observation.
   */
  readonly epistemic?: Tensor
  /** Poisson (rates), heteroscedastic: the mean of a new observation, N x K; of regression it is `mean`. */
  readonly predictiveMean?: Tensor
  /**
   * The variance of a new observation. Regression: variance + sigma^2, N x C; poisson, heteroscedastic: aleatoric +
   * epistemic, N x K.
   */
  readonly predictiveVariance?: Tensor
  /** N x C x C, or (N C) x (N C) with `joint`; when asked for. */
  readonly covariance?: Tensor
  /** The covariance of a new observation, where the noises of a regression are correlated; beside `covariance`. */
  readonly predictiveCovariance?: Tensor
  /**
   * How unlike the training rows a row is, N: the share of training rows whose leave-one-out variance is at least as
   * large as the row's (a p-value: small means unlike). Where the posterior was fitted by `auto` or `validated`.
   */
  readonly novelty?: Tensor
  /** What `novelty` is the p-value of: the mean variance of the outputs, N. */
  readonly noveltyScore?: Tensor
  /** The probability of intervals or sets; where a level was asked for. */
  readonly level?: number
  /**
   * Where the width of intervals, quantiles and sets comes from: `conformal` rows held out, with a guarantee; the
   * `jackknife` of the training rows, approximate; the `gaussian` predictive distribution, or that of counts
   * (`poisson`); or, without observation noise, the `credible` distribution of the function.
   */
  readonly interval?: IntervalKind
  /** Numbers, with a level: the ends of the intervals, N x K. */
  readonly lower?: Tensor
  readonly upper?: Tensor
  /** Classes, with a level: 1 for every class in the set, N x C (binary: N x 2). */
  readonly sets?: Tensor
  /** Numbers: N x K x Q, for the Q probabilities that were asked for. */
  readonly quantiles?: Tensor
  /** Of the draws, where there were any. */
  readonly seed?: number
  readonly notes: readonly string[]
}

/** What a prediction is asked for, with every default said. */
export interface PredictionRequest {
  readonly likelihood: LikelihoodModel
  /** Undefined: the answer's own where there is one, else probit. */
  readonly link: Link | undefined
  /** How network and linear model make the answer together; undefined: the posterior's mean and covariance alone. */
  readonly answer: Answer | undefined
  /** Leave-one-out variances of the training rows, ascending. */
  readonly trainingVariances: Float64Array | undefined
  /** sigma of every output, C. */
  readonly sigmaNoise: Float64Array
  /** The covariance of the noises, C x C, where they are correlated. */
  readonly noiseCovariance: Float64Array | undefined
  readonly seed: number
  readonly samples: number | undefined
  readonly joint: boolean
  readonly covariance: boolean
  readonly uncertainty: boolean
}
