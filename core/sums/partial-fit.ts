/**
 * @file What a fit has summed over some of the data. Partial fits of different data add up to the fit of all of it:
 * that one operation serves batches, threads and machines.
 */
import { mergeCurvature } from '../curvature/accumulate.js'
import type { Curvature } from '../curvature/curvature.js'
import { StateError } from '../errors/errors.js'
import { type Agreement, mergeAgreements } from '../likelihood/agreement.js'

/** Sums over `examples` examples. */
export interface PartialFit {
  /** Names the network, the likelihood and the kind of curvature: only partial fits of the same key add up. */
  readonly key: string
  readonly examples: number
  /** Loss at the network's weights. */
  readonly loss: number
  readonly curvature: Curvature
  /** How the network agrees with the rows; undefined for partial fits of version 0.1.0. */
  readonly agreement: Agreement | undefined
}

/**
 * The sum of two partial fits. Associative and commutative up to rounding.
 * @throws StateError DIGEST_MISMATCH when they belong to different networks or options
 */
export function mergePartialFits(a: PartialFit, b: PartialFit): PartialFit {
  if (a.key !== b.key) {
    throw new StateError('DIGEST_MISMATCH',
      'These partial fits cannot be added: they were made with different networks, likelihoods, subsets or structures.',
      { first: a.key, second: b.key })
  }
  return { key: a.key, examples: a.examples + b.examples, loss: a.loss + b.loss,
    curvature: mergeCurvature(a.curvature, b.curvature), agreement: mergeAgreements(a.agreement, b.agreement) }
}
