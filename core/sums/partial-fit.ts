/**
 * @file What a fit has summed over some of the data. Partial fits of different data add up to the fit of all of it:
 * that one operation serves batches, threads and machines.
 */
import { mergeCurvature } from '../curvature/accumulate.js'
import type { Curvature } from '../curvature/curvature.js'
import { canBeAdded } from '../curvature/sizes.js'
import { StateError, UntrustedInputError } from '../errors/errors.js'
import { type Agreement, mergeAgreements, zeroAgreement } from '../likelihood/agreement.js'
import { LIKELIHOODS } from '../options/words.js'

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
  /** What was noticed when it was read. */
  readonly notes?: readonly string[]
}

/**
 * The sum of two partial fits. Associative and commutative up to rounding.
 * @throws StateError DIGEST_MISMATCH when they belong to different networks or options
 */
export function mergePartialFits(a: PartialFit, b: PartialFit): PartialFit {
  if (a.key !== b.key || !canBeAdded(a.curvature, b.curvature)) {
    throw new StateError('DIGEST_MISMATCH',
      'These partial fits cannot be added: they were made with different networks, likelihoods, subsets or structures.',
      { first: a.key, second: b.key })
  }
  return { key: a.key, examples: a.examples + b.examples, loss: a.loss + b.loss,
    curvature: mergeCurvature(a.curvature, b.curvature), agreement: mergeAgreements(a.agreement, b.agreement),
    notes: [...new Set([...a.notes ?? [], ...b.notes ?? []])] }
}

/**
 * The partial fit, whose key and contents say the same.
 * @throws UntrustedInputError
 */
export function checkedPartialFit(fit: PartialFit): PartialFit {
  const [digest, word, , structure] = fit.key.split(' ')
  const { agreement, curvature } = fit
  const likelihood = LIKELIHOODS.find(known => known === word)
  if (/^[0-9a-f]{64}$/.test(digest) && structure === curvature.structure && likelihood !== undefined
    && (agreement === undefined || agreement.kind === zeroAgreement(likelihood, 1).kind)) return fit
  throw new UntrustedInputError('The partial fit is damaged: it says that it is of another kind than it is.', {
    format: 'partial',
    path: 'key',
  })
}
