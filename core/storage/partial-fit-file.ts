/** @file Partial fits as bytes. */
import type { PartialFit } from '../sums/partial-fit.js'
import { agreementFromTree, agreementToTree } from './agreement-tree.js'
import { readContainer, writeContainer } from './container.js'
import { curvatureToTree, sumFromTree } from './curvature-tree.js'
import { countField, fieldsOf, numberField, textField } from './fields.js'

/** A partial fit as bytes, to be sent to another machine. */
export function writePartialFit(fit: PartialFit): Uint8Array {
  return writeContainer('partial', { key: fit.key, examples: fit.examples, loss: fit.loss,
    curvature: curvatureToTree(fit.curvature),
    agreement: fit.agreement === undefined ? null : agreementToTree(fit.agreement) })
}

/**
 * A partial fit from bytes.
 * @throws UntrustedInputError when they are not one
 */
export function readPartialFit(bytes: Uint8Array): PartialFit {
  const fields = fieldsOf(readContainer('partial', bytes), 'partial')
  return { key: textField(fields, 'key'), examples: countField(fields, 'examples'), loss: numberField(fields, 'loss'),
    curvature: sumFromTree(fields['curvature']), agreement: agreementFromTree(fields['agreement']) }
}
