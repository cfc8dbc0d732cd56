/** @file Tells ONNX files from others that are taken for them. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { beginning } from '../signatures/beginning.js'
import { type Foreign, foreignSignature, foreignText } from '../signatures/foreign-formats.js'
import { MOST_BYTES } from './limits.js'

/** Files that readers of other formats take, and JSON, by their first bytes. */
const OTHERS: readonly (readonly [signature: RegExp, name: string, advice: string])[] = [
  [/^\s*\{/, 'ONNX as JSON', 'convert it to the binary form, for example with onnx.save'],
  [/^PK\x03\x04/, 'a zip archive (PyTorch, Keras)',
    'read it as a PyTorch or Keras file, or export the network to ONNX'],
  [/^\x89HDF/, 'an HDF5 file', 'read it as a Keras file'],
  [/^\x80[\x02-\x05]/, 'a pickle', 'export the network to ONNX'],
]

/**
 * Refuses what is no binary ONNX file by its first bytes and its size.
 * @throws UntrustedInputError UNSUPPORTED_FORMAT naming what the file is, UNTRUSTED_INPUT when it is empty or too large
 */
export function recogniseOnnx(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new UntrustedInputError('The ONNX file is empty.', { format: 'ONNX', actual: 0 })
  if (bytes.length > MOST_BYTES) {
    throw new UntrustedInputError(
      `The ONNX file has ${bytes.length} bytes; the format allows ${MOST_BYTES} (2 GiB). ` +
        'Save the network with external data.',
      { format: 'ONNX', limit: MOST_BYTES, actual: bytes.length },
    )
  }
  const foreign = foreignFile(bytes)
  if (foreign !== undefined) {
    throw new UntrustedInputError(`The file is not a binary ONNX file but ${foreign.name}: ${foreign.advice}.`, {
      format: 'ONNX',
      offset: 0,
    }, 'UNSUPPORTED_FORMAT')
  }
}

function foreignFile(bytes: Uint8Array): Foreign | undefined {
  const head = beginning(bytes)
  const other = OTHERS.find(([signature]) => signature.test(head))
  return other === undefined ? foreignSignature(bytes) ?? foreignText(bytes) : { name: other[1], advice: other[2] }
}
