/** @file What predictions need of a posterior over all weights, as plain data that can be sent to another thread. */
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { functionalVarianceByRows } from './full-variance.js'
import { functionalVariance, type WeightedBlock } from './functional-variance.js'
import { lowRankOutputs, type LowRankPart } from './low-rank.js'
import type { VarianceKind } from './variance-kind.js'

/** What a posterior says of the outputs of a batch. */
export interface OutputMoments {
  readonly variance: Float64Array
  /** f_lin - f, N x C. */
  readonly change?: Float64Array
}

/** Blocks with their variances in their eigenbases (kron, diag), or the Cholesky factor of a full precision. */
export type PosteriorParts =
  | { readonly kind: 'blocks', readonly blocks: readonly WeightedBlock[] }
  | { readonly kind: 'factor', readonly factor: Float64Array }
  | { readonly kind: 'lowrank', readonly parts: readonly LowRankPart[] }

/**
 * J P^-1 J' of each example, N x C or N x C x C; of a linear model also f_lin - f, N x C: its mean is not the network's.
 */
export function outputMoments(parts: PosteriorParts, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  kind: VarianceKind): OutputMoments {
  switch (parts.kind) {
    case 'blocks':
      return { variance: functionalVariance(parts.blocks, slots, jacobian, kind) }
    case 'factor':
      return { variance: functionalVarianceByRows(parts.factor, slots, jacobian, kind) }
    case 'lowrank':
      return lowRankOutputs(parts.parts, slots, jacobian, kind)
  }
}
