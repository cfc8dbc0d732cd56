/** @file Tells the format of a file by its content, whatever its name says; nothing is decoded. */
import { LaplaceError, UntrustedInputError } from '../../core/errors/errors.js'
import { isContainer } from '../../core/storage/container.js'
import { isJld2 } from '../flux/jld2/superblock.js'
import { isHdf5 } from '../hdf5/signature.js'
import { beginning, beginsWith } from '../signatures/beginning.js'
import { type Foreign, foreignSignature, foreignText, TO_ONNX } from '../signatures/foreign-formats.js'
import { isZip, openZip } from '../zip/index.js'

/** The formats that can be read. */
export const FORMATS = ['onnx', 'pytorch', 'safetensors', 'safetensors-index', 'flux', 'jld2', 'keras',
  'posterior'] as const

/** A format that can be read. */
export type Format = (typeof FORMATS)[number]

/** What a file is: a format that can be read, or another one by name with the way out. */
export type Recognised =
  | { readonly format: Format }
  | (Foreign & { readonly format: undefined })

const other = (name: string, advice: string): Recognised => ({ format: undefined, name, advice })

/**
 * The format of a file.
 * @throws UntrustedInputError UNTRUSTED_INPUT when it is empty or a damaged zip archive
 */
export function recognise(bytes: Uint8Array): Recognised {
  if (bytes.length === 0) throw new UntrustedInputError('The file is empty.', { format: 'unknown', actual: 0 })
  if (isContainer(bytes)) return { format: 'posterior' }
  if (isZip(bytes)) return recogniseZip(bytes)
  if (isHdf5(bytes)) return { format: isJld2(bytes) ? 'jld2' : 'keras' }
  if (isBson(bytes)) return { format: 'flux' }
  if (bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5) return recognisePickle(bytes)
  const signature = foreignSignature(bytes)
  if (signature !== undefined) return { format: undefined, ...signature }
  if (bytes[8] === 0x7b && bytes.length > 8) return { format: 'safetensors' }
  if (/^\s*\{[^]*"weight_map"\s*:/.test(beginning(bytes))) return { format: 'safetensors-index' }
  if (isText(bytes)) {
    return { format: undefined, ...(foreignText(bytes) ?? { name: 'text', advice: 'give the network' }) }
  }
  if (beginsWith(bytes, 0, [0x08, 0x01, 0x12]) && bytes.length > 3 && bytes[3] >= 0x80) {
    return other('a TensorFlow SavedModel', 'convert it to ONNX (tf2onnx)')
  }
  if (isTensorProto(bytes)) {
    return other('an ONNX tensor (TensorProto)', 'such files hold inputs and outputs; give the model beside it')
  }
  if (looksLikeProtobuf(bytes)) return { format: 'onnx' }
  if (looksLikeCutBson(bytes)) return { format: 'flux' }
  return other('of no known format',
    `known are ONNX, PyTorch, safetensors, Flux (BSON.jl, JLD2), Keras and posteriors of this library; ${TO_ONNX}`)
}

/** Whether the first bytes have no control characters but those of text. */
function isText(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 256).every(byte => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) &&
    bytes[0] < 0x80
}

/** A document says its length, ends with 0, and begins with an element of a type from 1 to 19 (or is empty). */
function isBson(bytes: Uint8Array): boolean {
  return bytes.length >= 5 && bytes[bytes.length - 1] === 0 && bytes[4] <= 0x13 &&
    new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true) === bytes.length
}

/** A BSON document whose length is not that of the file: its reader says so. */
function looksLikeCutBson(bytes: Uint8Array): boolean {
  return [0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x0a, 0x10, 0x12].includes(bytes[4]) &&
    /^[\p{L}_][\p{L}\p{N}_]*\0/u.test(new TextDecoder().decode(bytes.subarray(5, 200)))
}

function recogniseZip(bytes: Uint8Array): Recognised {
  const { names } = openZip(bytes)
  const has = (pattern: RegExp): boolean => names.some(name => pattern.test(name))
  if (has(/(^|\/)data\.pkl$/)) return { format: 'pytorch' }
  if (has(/^model\.weights\.h5$/) || (has(/^config\.json$/) && has(/\.h5$/))) return { format: 'keras' }
  if (has(/(^|\/)saved_model\.pb$/)) {
    return other('an archive of a TensorFlow SavedModel', 'convert it to ONNX (tf2onnx)')
  }
  if (names.length > 0 && names.every(name => name.endsWith('.npy'))) {
    return other('a NumPy archive (.npz)',
      'it holds arrays and no layers: if they are data, give the network and these as its rows; ' +
        'if they are the weights, save them as safetensors (safetensors.numpy.save_file) and give the architecture')
  }
  if (has(/(^|\/)model_weights_config\.json$|(^|\/)serialized_exported_program\.json$/)) {
    return other('a program of torch.export (.pt2)',
      'write it as ONNX: torch.onnx.export(torch.export.load(path), f="model.onnx", dynamo=True)')
  }
  if (has(/\.mlmodel$|coremldata\.bin$/)) return other('a Core ML package', TO_ONNX)
  return other(`a zip archive of other files (${names.slice(0, 5).map(name => `'${name.slice(0, 60)}'`).join(', ')})`,
    'unpack it and give the network in it')
}

/** torch.save before PyTorch 1.6 wrote pickles, one behind another; other pickles are named by what they hold. */
function recognisePickle(bytes: Uint8Array): Recognised {
  // The first pickle is the number 0x1950a86a20f9469cfc6c.
  if (beginsWith(bytes, 2, [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19])) {
    return { format: 'pytorch' }
  }
  const head = beginning(bytes)
  const program = /joblib\.numpy_pickle|(sklearn|xgboost|lightgbm|keras|tensorflow|pandas|numpy)[.\n]/.exec(head)
  if (program !== null) {
    const scikit = head.includes('sklearn.')
    return other(scikit ? 'a pickle of a scikit-learn object' : `a pickle of ${program[0].replace(/[.\n].*/s, '')}`,
      scikit
        ? 'pickles are programs and are not run: load it in Python and give the object to ' +
          'polylaplace.Laplace, or convert it with skl2onnx'
        : `pickles are programs and are not run: load it in Python; ${TO_ONNX}`)
  }
  // Its reader names what else it is.
  return { format: 'pytorch' }
}

/**
 * Whether the bytes could be a protocol buffer such as ONNX's ModelProto: its first fields have numbers from 1 to 25,
 * lengths that fit, and its version comes before the graph.
 */
function looksLikeProtobuf(bytes: Uint8Array): boolean {
  let offset = 0
  for (let field = 0; field < 4 && offset < bytes.length; field++) {
    const tag = bytes[offset++]
    const [number, wire] = [tag >> 3, tag & 7]
    if (number < 1 || tag >= 0xc8 || (wire !== 0 && wire !== 2)) return false
    const value = varint(bytes, offset)
    if (value === undefined) return false
    if (wire === 2 && number === 7) return true
    offset = value.end + (wire === 2 ? value.value : 0)
    if (offset > bytes.length) return false
  }
  return offset > 2
}

/**
 * A tensor begins with its extents (field 1, numbers) and its element type (field 2, a number, which is text in a
 * model).
 */
function isTensorProto(bytes: Uint8Array): boolean {
  let offset = 0
  while (bytes[offset] === 0x08) offset = varint(bytes, offset + 1)?.end ?? bytes.length
  return bytes[offset] === 0x10 && bytes[offset + 1] >= 1 && bytes[offset + 1] <= 25
}

function varint(bytes: Uint8Array, start: number): { value: number, end: number } | undefined {
  let value = 0
  for (let i = 0; i < 10 && start + i < bytes.length; i++) {
    value += (bytes[start + i] & 0x7f) * 2 ** (7 * i)
    if (bytes[start + i] < 0x80) return { value, end: start + i + 1 }
  }
  return undefined
}

/** The error for a file that is recognised and not supported. */
export function unsupported({ name, advice }: Foreign): UntrustedInputError {
  return new UntrustedInputError(`The file is ${name}, which is not supported: ${advice}.`, {
    format: name.replace(/^(an?|the) /, ''),
    offset: 0,
  }, 'UNSUPPORTED_FORMAT')
}

/** Whether an error is one of this library's own, about the file. */
export function isOurs(error: unknown): error is LaplaceError {
  return error instanceof LaplaceError && error.code !== 'INTERNAL'
}
