/** @file What tuning by the linear model needs of the training data. */
import type { RealArray } from '../kernels/plain.js'

/** Features and labels of the training data. */
export interface LinearData {
  /** N x D; a row is a term of the likelihood. */
  readonly features: RealArray
  readonly labels: Float64Array
  readonly examples: number
  /** Rows of each example, one after another, where an example has several: its positions. */
  readonly sizes?: Int32Array
  /** Rows of the whole data, where these are a sample of them. */
  readonly seen?: number
}
