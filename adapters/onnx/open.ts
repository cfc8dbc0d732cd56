/** @file The messages of an ONNX file. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { decodeModel, type GraphMessage, type ModelMessage } from './messages.js'
import { recogniseOnnx } from './recognise.js'

/** A file's messages, where it has a graph. @throws UntrustedInputError */
export function decodeOnnx(bytes: Uint8Array): { model: ModelMessage, graph: GraphMessage } {
  // A view of the plain type: a Buffer's slice would share memory where a copy is meant.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  recogniseOnnx(plain)
  const model = decodeModel(plain)
  if (model.graph == null) {
    throw new UntrustedInputError('The file holds no network: it has no graph. Is it an ONNX file?', { format: 'ONNX',
      path: 'graph' })
  }
  return { model, graph: model.graph }
}
