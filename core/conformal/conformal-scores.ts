/** @file What calibration leaves behind: the scores of the held-out rows, plain numbers that are stored as they are. */

/** How wrong a prediction is, by its own measure: one sorted list for each output. */
export interface RegressionScores {
  /** `split`: of rows held out; `jackknife`: of training rows, each predicted without itself. */
  readonly kind: 'split' | 'jackknife'
  /** Number of rows. */
  readonly n: number
  /** True for |y - mu| / sd, false for |y - mu|. */
  readonly scaled: boolean
  /** For each output its n scores, rising. */
  readonly scores: readonly Float64Array[]
}

/** How little a class is expected, by its probability alone. */
export interface ThresholdScores {
  readonly kind: 'threshold'
  readonly n: number
  /** n scores 1 - p_y, rising. */
  readonly scores: Float64Array
}

/** How much probability lies on classes before the true one. */
export interface AdaptiveScores {
  readonly kind: 'adaptive'
  readonly n: number
  /** n scores, rising. */
  readonly scores: Float64Array
  /** True where a random part of the true class's own probability is counted, false where all of it is. */
  readonly randomised: boolean
  /** Seed of that randomness. */
  readonly seed: number
}

/** Scores from which sets of classes are made. */
export type SetScores = ThresholdScores | AdaptiveScores
