/** @file What predictions need of a posterior over all weights, as plain data that can be sent to another thread. */
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { functionalVarianceByRows } from './full-variance.js'
import { functionalVariance, type WeightedBlock } from './functional-variance.js'
import type { VarianceKind } from './variance-kind.js'

/** Blocks with their variances in their eigenbases (kron, diag), or the Cholesky factor of a full precision. */
export type PosteriorParts =
  | { readonly kind: 'blocks', readonly blocks: readonly WeightedBlock[] }
  | { readonly kind: 'factor', readonly factor: Float64Array }

/** J P^-1 J' of each example: N x C, or N x C x C. */
export function outputVariance(parts: PosteriorParts, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  kind: VarianceKind): Float64Array {
  return parts.kind === 'blocks'
    ? functionalVariance(parts.blocks, slots, jacobian, kind)
    : functionalVarianceByRows(parts.factor, slots, jacobian, kind)
}
