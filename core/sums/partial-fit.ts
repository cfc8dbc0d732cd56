/**
 * @file What a fit has summed over some of the data. Partial fits of different data add up to the fit of all of it: that
 * one operation serves batches, threads and machines.
 */
import { type Tree, readContainer, writeContainer } from '../storage/container.js'
import { mergeCurvature } from '../curvature/accumulate.js'
import type { Curvature, KronBlock } from '../curvature/curvature.js'
import { StateError } from '../errors/errors.js'
import { arrayField, countField, type Fields, fieldsOf, listField, numberField, textField, wordField } from '../storage/fields.js'
import { STRUCTURES } from '../options/words.js'

/** Sums over `examples` examples. */
export interface PartialFit {
  /** Names the network, the likelihood and the kind of curvature: only partial fits of the same key add up. */
  readonly key: string
  readonly examples: number
  /** Loss at the network's weights. */
  readonly loss: number
  readonly curvature: Curvature
}

/**
 * The sum of two partial fits. Associative and commutative up to rounding.
 * @throws StateError DIGEST_MISMATCH when they belong to different networks or options
 */
export function mergePartialFits(a: PartialFit, b: PartialFit): PartialFit {
  if (a.key !== b.key) {
    throw new StateError('DIGEST_MISMATCH', 'These partial fits cannot be added: they were made with different networks, likelihoods, subsets or structures.', { first: a.key, second: b.key })
  }
  return { key: a.key, examples: a.examples + b.examples, loss: a.loss + b.loss, curvature: mergeCurvature(a.curvature, b.curvature) }
}

/** A partial fit as bytes, to be sent to another machine. */
export function writePartialFit(fit: PartialFit): Uint8Array {
  return writeContainer('partial', { key: fit.key, examples: fit.examples, loss: fit.loss, curvature: curvatureToTree(fit.curvature) })
}

/**
 * A partial fit from bytes.
 * @throws UntrustedInputError when they are not one
 */
export function readPartialFit(bytes: Uint8Array): PartialFit {
  const fields = fieldsOf(readContainer('partial', bytes), 'partial')
  return { key: textField(fields, 'key'), examples: countField(fields, 'examples'), loss: numberField(fields, 'loss'), curvature: curvatureFromTree(fields['curvature']) }
}

/** The tree of a curvature. */
export function curvatureToTree(curvature: Curvature): Tree {
  switch (curvature.structure) {
    case 'full': return { structure: 'full', size: curvature.size, matrix: curvature.matrix }
    case 'diag': return { structure: 'diag', size: curvature.size, diagonal: curvature.diagonal }
    case 'kron': return { structure: 'kron', size: curvature.size, blocks: curvature.blocks.map(block => ({ ...block })) }
  }
}

/**
 * The curvature of a tree.
 * @throws UntrustedInputError when it is not one, or sizes disagree
 */
export function curvatureFromTree(tree: Tree | undefined): Curvature {
  const fields = fieldsOf(tree, 'curvature')
  const structure = wordField(fields, 'structure', STRUCTURES)
  const size = countField(fields, 'size')
  switch (structure) {
    case 'full': return { structure, size, matrix: arrayField(fields, 'matrix', size * size) }
    case 'diag': return { structure, size, diagonal: arrayField(fields, 'diagonal', size) }
    case 'kron': return { structure, size, blocks: listField(fields, 'blocks').map(block => blockFrom(fieldsOf(block, 'blocks'))) }
  }
}

function blockFrom(fields: Fields): KronBlock {
  const kind = wordField(fields, 'kind', ['weight', 'dense', 'diagonal'] as const)
  const name = textField(fields, 'name')
  if (kind === 'diagonal') return { kind, name, diagonal: arrayField(fields, 'diagonal') }
  const out = countField(fields, 'out')
  const B = arrayField(fields, 'B', out * out)
  if (kind === 'dense') return { kind, name, out, B }
  const inputs = countField(fields, 'in')
  return { kind, name, out, in: inputs, B, A: arrayField(fields, 'A', inputs * inputs), rows: countField(fields, 'rows') }
}
