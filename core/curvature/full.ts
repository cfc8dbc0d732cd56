/** @file Full curvature J' J, with J built from its factors in blocks of rows. */
import { syrk } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { denseJacobian } from './jacobian.js'

/** Bytes of one block of Jacobian rows. */
const BLOCK_BYTES = 1 << 24

/** Adds J' J of a batch to the P x P matrix (both triangles). */
export function accumulateFull(matrix: Float64Array, size: number, slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian): void {
  const perExample = jacobian.seeds * size * Float64Array.BYTES_PER_ELEMENT
  const step = Math.max(1, Math.floor(BLOCK_BYTES / perExample))
  for (let from = 0; from < jacobian.examples; from += step) {
    const to = Math.min(jacobian.examples, from + step)
    syrk(size, (to - from) * jacobian.seeds, 1, denseJacobian(slots, jacobian, from, to), 1, matrix)
  }
}
