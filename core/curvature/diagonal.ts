/** @file Diagonal curvature: the sum over seeds and examples of squared Jacobian entries. */
import type { FactoredJacobian, LinearFactor, ParameterSlot } from './curvature.js'
import { parameterJacobian, usesByParameter, type ParameterUses } from './jacobian.js'
import { addProduct } from './real.js'

/** Bytes of one block of Jacobian rows, where they must be written out. */
const BLOCK_BYTES = 1 << 22

/** Adds a batch's diagonal. A parameter that is used several times has its Jacobians summed before they are squared. */
export function accumulateDiagonal(diagonal: Float64Array, slots: readonly ParameterSlot[], jacobian: FactoredJacobian): void {
  for (const uses of usesByParameter(slots, jacobian)) {
    const slot = slots[uses.slot]
    const target = diagonal.subarray(slot.offset, slot.offset + slot.size)
    const plain = plainUse(uses)
    if (plain === undefined) addSquaredRows(target, slot, uses, jacobian)
    else addFactoredSquares(target, plain, jacobian)
  }
}

/** The one linear factor without positions that uses a weight, if that is all its use. */
export function plainUse(uses: ParameterUses): LinearFactor | undefined {
  if (uses.asWeight.length !== 1 || uses.asBias.length > 0 || uses.direct.length > 0) return undefined
  return uses.asWeight[0].positions === 1 ? uses.asWeight[0] : undefined
}

/** (sum_k g^2)' a^2: the square of an outer product is the outer product of the squares. */
function addFactoredSquares(target: Float64Array, factor: LinearFactor, { seeds, examples }: FactoredJacobian): void {
  const { a, g, in: inputs, out } = factor
  const width = examples * out
  const squares = new Float64Array(width)
  for (let k = 0; k < seeds; k++) {
    for (let i = 0, at = k * width; i < width; i++, at++) squares[i] += g[at] * g[at]
  }
  const inputSquares = new Float64Array(examples * inputs)
  for (let i = 0; i < inputSquares.length; i++) inputSquares[i] = a[i] * a[i]
  addProduct(out, inputs, examples, squares, inputSquares, target)
}

function addSquaredRows(target: Float64Array, slot: ParameterSlot, uses: ParameterUses, jacobian: FactoredJacobian): void {
  const step = Math.max(1, Math.floor(BLOCK_BYTES / (8 * jacobian.seeds * slot.size)))
  for (let from = 0; from < jacobian.examples; from += step) {
    const rows = parameterJacobian(slot, uses, jacobian, from, Math.min(jacobian.examples, from + step))
    for (let at = 0; at < rows.length; at += slot.size) {
      for (let i = 0; i < slot.size; i++) target[i] += rows[at + i] * rows[at + i]
    }
  }
}
