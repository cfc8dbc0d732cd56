/** @file Examples with their labels. */
import type { Tensor } from './tensor.js'

/** A batch of examples: inputs with one example a row, and its labels. */
export interface Batch {
  readonly x: Tensor
  readonly y: Tensor
}
