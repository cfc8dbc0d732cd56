/** @file Partial fits as bytes. */
import { checkedPartialFit, type PartialFit } from '../sums/partial-fit.js'
import { agreementFromTree, agreementToTree } from './agreement-tree.js'
import { writeContainer } from './container.js'
import { curvatureToTree, sumFromTree } from './curvature-tree.js'
import { exact, fieldsOf, numberField, positiveCountField, textField, textsField } from './fields.js'
import { NO_DIGEST_NOTE, readContainer } from './read-container.js'

/** A partial fit as bytes, to be sent to another machine. */
export function writePartialFit(fit: PartialFit): Uint8Array {
  return writeContainer('partial', { key: fit.key, examples: fit.examples, loss: fit.loss,
    curvature: curvatureToTree(fit.curvature),
    agreement: fit.agreement === undefined ? null : agreementToTree(fit.agreement), notes: fit.notes ?? [] })
}

/**
 * A partial fit from bytes.
 * @throws UntrustedInputError when they are not one
 */
export function readPartialFit(bytes: Uint8Array): PartialFit {
  const { tree, hasDigest } = readContainer('partial', bytes)
  const fields = fieldsOf(tree, 'partial')
  const notes = hasDigest ? textsField(fields, 'notes') : [NO_DIGEST_NOTE]
  const fit = exact(fields, 'partial', { key: textField(fields, 'key'),
    examples: positiveCountField(fields, 'examples'), loss: numberField(fields, 'loss'),
    curvature: sumFromTree(fields['curvature']), agreement: agreementFromTree(fields['agreement']), notes })
  return checkedPartialFit(fit)
}
