/** @file What tuning by the linear model needs of the training data. */
import type { RealArray } from '../kernels/plain.js'

/** Features and labels of the training data. */
export interface LinearData {
  /** N x D. */
  readonly features: RealArray
  readonly labels: Float64Array
  readonly examples: number
  /** Rows of the whole data, where these are a sample of them. */
  readonly seen?: number
}
