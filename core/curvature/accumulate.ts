/** @file Curvature sums from factored Jacobians: start at zero, add batch after batch, merge partial sums. */
import { InternalError } from '../errors.js'
import type { KfacApproximation, Structure } from '../options.js'
import { accumulateDiagonal } from './diagonal.js'
import { accumulateFull } from './full.js'
import { accumulateKron, zeroKron } from './kron.js'
import type { Curvature, FactoredJacobian, LinearFactor, ParameterSlot } from './curvature.js'

/** Which parameters a linear operator uses (indices into the slots; -1 for one that is not in the subset) and its sizes. */
export type LinearShape = Pick<LinearFactor, 'weight' | 'bias' | 'in' | 'out'>

/** Number of parameters of the slots together. */
export function parameterCount(slots: readonly ParameterSlot[]): number {
  return slots.reduce((sum, slot) => sum + slot.size, 0)
}

/**
 * The curvature of no data. `linears` tells kron which parameters are weights and biases of linear operators;
 * any other parameter gets a dense block of at most 64 entries, else a diagonal one.
 */
export function zeroCurvature(structure: Structure, slots: readonly ParameterSlot[], linears: readonly LinearShape[]): Curvature {
  const size = parameterCount(slots)
  switch (structure) {
    case 'full': return { structure, size, matrix: new Float64Array(size * size) }
    case 'diag': return { structure, size, diagonal: new Float64Array(size) }
    case 'kron': return { structure, size, blocks: zeroKron(slots, linears) }
  }
}

/**
 * Adds a batch: sum over its examples of J' Lambda J, where the Jacobian's seeds are the columns of Lambda's root.
 * The arrays of `sum` are updated in place: go on with the result and forget `sum`.
 */
export function accumulateCurvature(sum: Curvature, slots: readonly ParameterSlot[], jacobian: FactoredJacobian, approximation: KfacApproximation = 'expand'): Curvature {
  switch (sum.structure) {
    case 'full': accumulateFull(sum.matrix, sum.size, slots, jacobian); return sum
    case 'diag': accumulateDiagonal(sum.diagonal, slots, jacobian); return sum
    case 'kron': return { ...sum, blocks: accumulateKron(sum.blocks, jacobian, approximation) }
  }
}

/**
 * The curvature of two disjoint sets of data together; neither argument is changed.
 * @throws InternalError when their structures or sizes differ (callers compare digests first)
 */
export function mergeCurvature(a: Curvature, b: Curvature): Curvature {
  if (a.structure === 'full' && b.structure === 'full' && a.size === b.size) return { ...a, matrix: add(a.matrix, b.matrix) }
  if (a.structure === 'diag' && b.structure === 'diag' && a.size === b.size) return { ...a, diagonal: add(a.diagonal, b.diagonal) }
  if (a.structure === 'kron' && b.structure === 'kron' && a.blocks.length === b.blocks.length) {
    return {
      ...a,
      blocks: a.blocks.map((block, i) => {
        const other = b.blocks[i]
        if (block.kind === 'weight' && other.kind === 'weight') return { ...block, B: add(block.B, other.B), A: add(block.A, other.A), rows: block.rows + other.rows }
        if (block.kind === 'dense' && other.kind === 'dense') return { ...block, B: add(block.B, other.B) }
        if (block.kind === 'diagonal' && other.kind === 'diagonal') return { ...block, diagonal: add(block.diagonal, other.diagonal) }
        throw new InternalError(`The curvature blocks of ${block.name} are of different kinds (${block.kind}, ${other.kind}).`)
      }),
    }
  }
  throw new InternalError(`Curvatures of structure ${a.structure} (${a.size} parameters) and ${b.structure} (${b.size}) cannot be added.`)
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  if (a.length !== b.length) throw new InternalError(`Curvature arrays of ${a.length} and ${b.length} numbers cannot be added.`)
  const sum = new Float64Array(a.length)
  for (let i = 0; i < sum.length; i++) sum[i] = a[i] + b[i]
  return sum
}
