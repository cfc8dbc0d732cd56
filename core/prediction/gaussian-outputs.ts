/** @file What links and decompositions start from: Gaussians over the outputs of some rows. */

/** The outputs of N rows, f N x C, with their variances. */
export interface GaussianOutputs {
  readonly f: Float64Array
  /** Of the kind that is asked for: N x C, or covariances N x C x C. */
  readonly variance: Float64Array
  readonly examples: number
  readonly outputs: number
}

/** Draws by a seed. */
export interface Draws {
  readonly samples: number
  readonly seed: number
}
