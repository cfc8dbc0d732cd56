/** @file Partial fits as bytes. */
import { demandBytes } from '../errors/demand.js'
import { UntrustedInputError } from '../errors/errors.js'
import { areChunks, chunkCount, type Chunks } from '../sums/chunks.js'
import type { InputColumns } from '../sums/input-columns.js'
import { checkedPartialFit, demandPartialFit, type PartialFit } from '../sums/partial-fit.js'
import { agreementFromTree, agreementToTree } from './agreement-tree.js'
import { type Tree, writeContainer } from './container.js'
import { curvatureToTree, sumFromTree } from './curvature-tree.js'
import { amountField, exact, type Fields, fieldsOf, listField, numberField, textField, textsField } from './fields.js'
import { NO_DIGEST_NOTE, readContainer } from './read-container.js'
import { weightedFrom, weightedToTree } from './weighted-tree.js'

/** A partial fit as bytes, to be sent to another machine. */
export function writePartialFit(fit: PartialFit): Uint8Array {
  demandPartialFit(fit)
  const { columns = [] } = fit
  return writeContainer('partial', { key: fit.key, examples: fit.examples, loss: fit.loss,
    curvature: curvatureToTree(fit.curvature),
    agreement: fit.agreement === undefined ? null : agreementToTree(fit.agreement), chunks: fit.chunks ?? null,
    ...weightedToTree(fit.weighted), ...(columns.length === 0 ? {} : { columns: columns.map(input => ({ ...input })) }),
    notes: fit.notes ?? [] })
}

/**
 * A partial fit from bytes.
 * @throws UntrustedInputError when they are not one
 */
export function readPartialFit(bytes: Uint8Array): PartialFit {
  demandBytes('The partial fit', bytes)
  const { tree, hasDigest } = readContainer('partial', bytes)
  const fields = fieldsOf(tree, 'partial')
  const notes = hasDigest ? textsField(fields, 'notes') : [NO_DIGEST_NOTE]
  const fit = exact(fields, 'partial', { key: textField(fields, 'key'), examples: amountField(fields, 'examples'),
    ...weightedFrom(fields), loss: numberField(fields, 'loss'),
    curvature: sumFromTree(fields['curvature'], fields['examples'] === 0),
    agreement: agreementFromTree(fields['agreement']), chunks: chunksFrom(fields, hasDigest),
    columns: fields['columns'] === undefined ? [] : listField(fields, 'columns').map(columnsFrom), notes })
  return checkedPartialFit(fit)
}

function columnsFrom(tree: Tree): InputColumns {
  const fields = fieldsOf(tree, 'columns')
  return exact(fields, 'columns', { name: textField(fields, 'name'), columns: textsField(fields, 'columns') })
}

/** The digests of chunks: none without examples, unless all of them weigh nothing. Files of 0.1.0 have none. */
function chunksFrom(fields: Fields, hasDigest: boolean): Chunks | undefined {
  const chunks = hasDigest ? fields['chunks'] : null
  if (chunks === null) return undefined
  const mayBeThere = fields['examples'] !== 0 || fields['weighted'] !== undefined
  if (chunks instanceof Uint8Array && areChunks(chunks) && (chunkCount(chunks) === 0 || mayBeThere)) return chunks
  throw new UntrustedInputError("The file is damaged: 'chunks' should be the digests of chunks of data in order.", {
    format: 'partial',
    path: 'chunks',
  })
}
