/** @file Examples with their labels. */
import type { Examples } from './examples.js'
import type { Tensor } from './tensor.js'

/** A batch of examples: inputs with one example a row, and its labels. */
export interface Batch {
  readonly x: Examples
  readonly y: Tensor
  /** How often each row counts in a fit; once where there are none. */
  readonly sampleWeight?: ArrayLike<number> | undefined
}
