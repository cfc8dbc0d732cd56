/** @file Tells ONNX files from others that are taken for them. */
import { UntrustedInputError } from '../../core/errors.js'
import { MOST_BYTES } from './limits.js'

/** Files that start in a known way, and what to do with them. */
const OTHERS: readonly (readonly [name: string, matches: (bytes: Uint8Array, head: string) => boolean, advice: string])[] = [
  ['an ONNX Runtime (ORT) file', (_bytes, head) => head.slice(4, 8) === 'ORTM', 'give the .onnx file it was made from'],
  ['ONNX as text', (_bytes, head) => /^\s*(ir_version|producer_name|opset_import|graph|domain|#|<\s*ir_version)/.test(head), 'convert it to the binary form, for example with onnx.save'],
  ['ONNX as JSON', (_bytes, head) => /^\s*\{/.test(head), 'convert it to the binary form, for example with onnx.save'],
  ['a zip archive (PyTorch, Keras)', (_bytes, head) => head.startsWith('PK\x03\x04'), 'read it as a PyTorch or Keras file, or export the network to ONNX'],
  ['an HDF5 file', (_bytes, head) => head.startsWith('\x89HDF'), 'read it as a Keras file'],
  ['a pickle', bytes => bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5, 'export the network to ONNX'],
  ['a pointer to a file in Git LFS', (_bytes, head) => head.startsWith('version https://git-lfs'), 'fetch the file itself with git lfs pull'],
]

/**
 * Refuses what is no binary ONNX file by its first bytes and its size.
 * @throws UntrustedInputError UNSUPPORTED_FORMAT naming what the file is, UNTRUSTED_INPUT when it is empty or too large
 */
export function recogniseOnnx(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new UntrustedInputError('The ONNX file is empty.', { format: 'ONNX', actual: 0 })
  if (bytes.length > MOST_BYTES) {
    throw new UntrustedInputError(`The ONNX file has ${bytes.length} bytes; the format allows ${MOST_BYTES} (2 GiB). Save the network with external data.`,
      { format: 'ONNX', limit: MOST_BYTES, actual: bytes.length })
  }
  const head = String.fromCharCode(...bytes.subarray(0, 64))
  for (const [name, matches, advice] of OTHERS) {
    if (matches(bytes, head)) throw new UntrustedInputError(`The file is not a binary ONNX file but ${name}: ${advice}.`, { format: 'ONNX', offset: 0 }, 'UNSUPPORTED_FORMAT')
  }
}
