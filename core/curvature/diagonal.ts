/** @file Diagonal curvature: the sum over seeds and examples of squared Jacobian entries. */
import { arenaArray, beginArena } from '../kernels/arena.js'
import { addInPlace, square } from '../kernels/arithmetic.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { parameterJacobian, type ParameterUses, usesByParameter } from './jacobian.js'
import { addProduct } from './real.js'

/** Bytes of one block of Jacobian rows, where they must be written out. */
const BLOCK_BYTES = 1 << 22

/** Adds a batch's diagonal. A parameter that is used several times has its Jacobians summed before they are squared. */
export function accumulateDiagonal(diagonal: Float64Array, slots: readonly ParameterSlot[],
  jacobian: FactoredJacobian): void {
  for (const uses of usesByParameter(slots, jacobian)) {
    const slot = slots[uses.slot]
    const target = diagonal.subarray(slot.offset, slot.offset + slot.size)
    const [weight, bias] = slot.elements === undefined ? [plainUse(uses), plainBias(uses)] : []
    // Ends what the parameter before this one held in the arena; a sum kept across this line would be written over.
    beginArena()
    if (weight !== undefined) addFactoredSquares(target, weight, jacobian)
    else if (bias !== undefined) addColumnSums(target, outputSquares(bias, jacobian))
    else addSquaredRows(target, slot, uses, jacobian)
  }
}

/**
 * The one linear factor without positions that uses a weight, if that is all its use. With positions (sum_t g a)^2 is
 * not sum_t g^2 a^2: the products of squares would leave out the mixed terms.
 */
function plainUse({ asWeight, asBias, direct }: ParameterUses): LinearFactor | undefined {
  return asWeight.length === 1 && asBias.length + direct.length === 0 && asWeight[0].positions === 1
    ? asWeight[0]
    : undefined
}

/** The one linear factor without positions that uses a bias, if that is all its use. */
function plainBias({ asWeight, asBias, direct }: ParameterUses): LinearFactor | undefined {
  return asBias.length === 1 && asWeight.length + direct.length === 0 && asBias[0].positions === 1
    ? asBias[0]
    : undefined
}

/** (sum_k g^2)' a^2: the square of an outer product is the outer product of the squares. */
function addFactoredSquares(target: Float64Array, factor: LinearFactor, jacobian: FactoredJacobian): void {
  const { a, in: inputs, out } = factor
  const inputSquares = arenaArray(a, jacobian.examples * inputs)
  square(a, inputSquares)
  addProduct(out, inputs, jacobian.examples, outputSquares(factor, jacobian), inputSquares, target)
}

/** sum_k g^2, N x out; it may live in the arena. */
function outputSquares({ g, out }: LinearFactor, { seeds, examples }: FactoredJacobian): RealArray {
  const size = examples * out
  const [sum, squares] = [arenaArray(g, size).fill(0), arenaArray(g, size)]
  for (let k = 0; k < seeds; k++) {
    square(g.subarray(k * size, (k + 1) * size), squares)
    addInPlace(sum, squares)
  }
  return sum
}

function addColumnSums(target: Float64Array, rows: RealArray): void {
  for (let i = 0; i < rows.length; i++) target[i % target.length] += rows[i]
}

function addSquaredRows(target: Float64Array, slot: ParameterSlot, uses: ParameterUses,
  jacobian: FactoredJacobian): void {
  const step = Math.max(1, Math.floor(BLOCK_BYTES / (8 * jacobian.seeds * slot.size)))
  for (let from = 0; from < jacobian.examples; from += step) {
    const rows = parameterJacobian(slot, uses, jacobian, from, Math.min(jacobian.examples, from + step))
    for (let at = 0; at < rows.length; at += slot.size) {
      for (let i = 0; i < slot.size; i++) target[i] += rows[at + i] * rows[at + i]
    }
  }
}
