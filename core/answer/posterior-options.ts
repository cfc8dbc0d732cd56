/** @file The options of a fitted posterior's methods. */
import type { SetScore } from '../conformal/calibration.js'
import type { Link, Predictive, PriorStructure, TuneMethod } from '../options/words.js'
import type { Examples } from '../tensor/examples.js'
import type { AdamSchedule } from '../tuning/adam.js'

/** The options of a prediction. */
export interface PredictOptions {
  /** How probabilities come from the Gaussian over outputs. */
  readonly link?: Link | undefined
  readonly predictive?: Predictive | undefined
  /** Draws of link mc (default 1,000) and of predictive nn (default 100). */
  readonly samples?: number | undefined
  readonly seed?: number | undefined
  /** Adds the covariance of all outputs of all rows, (N C) x (N C). */
  readonly joint?: boolean | undefined
  /** Adds the covariance of the outputs of each row, N x C x C. */
  readonly covariance?: boolean | undefined
  /** false: no aleatoric and epistemic parts. */
  readonly uncertainty?: boolean | undefined
  /**
   * Between 0 and 1. Regression: adds the interval of that probability, `lower` and `upper`; classes of a posterior
   * that was conformalized: adds `sets`.
   */
  readonly level?: number | undefined
  /** Regression: probabilities between 0 and 1, of which the quantiles are added. */
  readonly quantiles?: number | ArrayLike<number> | undefined
  /** Regression: false makes intervals and quantiles those of the function, without observation noise. */
  readonly noise?: boolean | undefined
}

/** The options of `compare`. */
export interface CompareOptions {
  /** Rows that are no data, without labels: how well network, temperature scaling, posterior and novelty tell them. */
  readonly outliers?: Examples | undefined
}

/** The options of `conformalize`. */
export interface ConformalOptions {
  /** Classes: `aps`, adaptive sets, which grow where rows are hard (the default), or `lac`, the smallest on average. */
  readonly score?: SetScore | undefined
  /** `aps` only: counts a random part of the true class's probability, which makes sets smaller. Default false. */
  readonly randomised?: boolean | undefined
  /** Of that randomness; by default the posterior's. */
  readonly seed?: number | undefined
}

/** The options of tuning. */
export interface TuneOptions {
  readonly tune?: TuneMethod | undefined
  readonly priorStructure?: PriorStructure | undefined
  /** Whether sigma is tuned too (regression). */
  readonly sigmaNoise?: boolean | undefined
  /** laplace-torch's schedule for `marglik`, instead of a search to convergence. */
  readonly schedule?: AdamSchedule | undefined
}

/** The names of the options of `predict`. */
export const PREDICT_OPTIONS: readonly (keyof PredictOptions)[] = ['link', 'predictive', 'samples', 'seed', 'joint',
  'covariance', 'uncertainty', 'level', 'quantiles', 'noise']

/** The names of the options of `compare`. */
export const COMPARE_OPTIONS: readonly (keyof CompareOptions)[] = ['outliers']

/** The names of the options of `conformalize`. */
export const CONFORMAL_OPTIONS: readonly (keyof ConformalOptions)[] = ['score', 'randomised', 'seed']

/** The names of the options of `tune`. */
export const TUNE_OPTIONS: readonly (keyof TuneOptions)[] = ['tune', 'priorStructure', 'sigmaNoise', 'schedule']
