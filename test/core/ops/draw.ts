/** @file Random tensors for tests of operators. */
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { uniform } from './check-derivative.js'

const random = uniform(3)

/** A float64 tensor of numbers in (-1, 1). */
export function draw(...shape: number[]): Tensor {
  return float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))
}
