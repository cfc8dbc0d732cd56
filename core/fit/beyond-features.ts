/** @file What the rows say of a last layer that its features cannot, since they have been trained on these rows. */
import type { RegressionNoise } from './last-layer-noise.js'

/** What all weights, or the same network untrained, say beside a last layer's features. */
export interface BeyondFeatures {
  /** Prior and noise of a regression, by all weights. */
  readonly noise?: RegressionNoise | undefined
  /** The share of rows left out that the network with shuffled weights names wrongly; more than two classes. */
  readonly errorRate?: number | undefined
}
