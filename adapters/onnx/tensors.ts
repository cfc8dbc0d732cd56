/** @file Tensors of ONNX files: their values from whichever field stores them. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { allocate, sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { toTensor } from '../tensors/convert.js'
import { elementBytes, type FileTensor } from '../tensors/file-tensor.js'
import { type ElementType, elementType, type StorageField, STRING } from './element-types.js'
import { externalBytes, type ExternalData, isExternal } from './external-data.js'
import { MOST_AXES, MOST_ELEMENTS } from './limits.js'
import { type TensorMessage, toNumber } from './messages.js'

const FIELDS: readonly StorageField[] = ['float_data', 'double_data', 'int32_data', 'int64_data', 'uint64_data',
  'string_data']

function damaged(name: string, problem: string, extra: { limit?: number, actual?: unknown } = {}): UntrustedInputError {
  return new UntrustedInputError(`The tensor '${name.slice(0, 200)}' of the ONNX file ${problem}.`, { format: 'ONNX',
    path: name, ...extra })
}

/** Whether a tensor holds text. */
export function isText(message: TensorMessage): boolean {
  return message.data_type === STRING
}

/**
 * A tensor's values; views of the file where the storage allows it. Elements of less than a byte get one byte each.
 * @throws UntrustedInputError UNTRUSTED_INPUT when shape, type and data contradict each other, UNSUPPORTED_FORMAT for
 * element types that are not read
 */
export function readTensor(message: TensorMessage, files: ExternalData, name: string = message.name ?? ''): FileTensor {
  const shape = shapeOf(message, name)
  const type = elementType(message.data_type ?? 0)
  if (type === undefined) {
    throw damaged(name, `has the unknown element type ${message.data_type ?? 0}`, { actual: message.data_type ?? 0 })
  }
  if (type.dtype === undefined) {
    const expected = 'expected real numbers of 16, 32 or 64 bits, integers or booleans'
    throw new UntrustedInputError(
      `The tensor '${
        name.slice(0, 200)
      }' of the ONNX file has elements of type ${type.name}, which is not supported; ${expected}.`,
      { format: 'ONNX', path: name, actual: type.name },
      'UNSUPPORTED_FORMAT',
    )
  }
  if (message.segment != null) throw damaged(name, 'is one segment of several, which is not supported')
  const elements = sizeOf(shape)
  const { packedBits, decode } = type
  const stored = packedBits === undefined ? elements * storedWidth(type) : Math.ceil(elements * packedBits / 8)
  const bytes = storedBytes(message, type, stored, name, files)
  const apart = packedBits === undefined ? bytes : unpack(bytes, elements, packedBits, type.dtype === 'int8')
  return { dtype: type.dtype, shape,
    bytes: decode === undefined ? apart : new Uint8Array(Float32Array.from(apart, decode).buffer) }
}

/** Bytes of one element in the file. */
function storedWidth({ dtype, packedBits, decode }: ElementType): number {
  return packedBits !== undefined || decode !== undefined || dtype === undefined ? 1 : elementBytes(dtype)
}

function shapeOf({ dims = [] }: TensorMessage, name: string): number[] {
  if (dims.length > MOST_AXES) {
    throw damaged(name, `has ${dims.length} axes; expected at most ${MOST_AXES}`, { limit: MOST_AXES,
      actual: dims.length })
  }
  const shape = dims.map(toNumber)
  let elements = 1
  for (const extent of shape) {
    if (!(extent >= 0 && extent <= MOST_ELEMENTS)) {
      throw damaged(name, `has an axis of length ${extent}`, { limit: MOST_ELEMENTS, actual: extent })
    }
    elements *= Math.max(1, extent)
    if (elements > MOST_ELEMENTS) {
      throw damaged(name, `claims more than ${MOST_ELEMENTS} elements`, { limit: MOST_ELEMENTS })
    }
  }
  return shape
}

/**
 * Little-endian elements from the one field that holds them; their number is compared with the shape before anything is
 * allocated.
 */
function storedBytes(message: TensorMessage, type: ElementType, expected: number, name: string,
  files: ExternalData): Uint8Array {
  const raw = Object.hasOwn(message, 'raw_data')
  const used = FIELDS.filter(field => message[field] !== undefined && message[field].length > 0)
  const external = isExternal(message)
  const places = [...(external ? ['external_data'] : []), ...(raw ? ['raw_data'] : []), ...used]
  if (places.length > 1) throw damaged(name, `stores its values twice (${places.join(', ')})`)
  const wrong = used.find(field => field !== type.field)
  if (wrong !== undefined) {
    throw damaged(name, `of type ${type.name} stores its values in ${wrong}; expected ${type.field} or raw_data`)
  }
  if (external) return externalBytes(message, expected, files)
  const bytes = raw ? message.raw_data ?? new Uint8Array(0) : fromField(message, type, expected, name)
  if (bytes.length !== expected) {
    throw damaged(name, `has ${bytes.length} bytes of data; its shape needs ${expected}`, { limit: expected,
      actual: bytes.length })
  }
  return bytes
}

function fromField(message: TensorMessage, type: ElementType, expected: number, name: string): Uint8Array {
  const parts = message[type.field] ?? []
  if (type.field === 'float_data' || type.field === 'double_data') return joined(parts)
  return integersOf(parts, storedWidth(type), expected, name)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/**
 * Packed varints as little-endian integers of `width` bytes. Negative ones have all of their 64 bits in the file, so
 * cutting off is exact.
 */
function integersOf(parts: readonly Uint8Array[], width: number, expected: number, name: string): Uint8Array {
  const count = parts.reduce((sum, part) => sum + part.reduce((ends, byte) => ends + (byte < 128 ? 1 : 0), 0), 0)
  if (count * width !== expected) {
    throw damaged(name, `has ${count} values; its shape needs ${expected / width}`, { limit: expected / width,
      actual: count })
  }
  const bytes = new Uint8Array(expected)
  let at = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; at += width) i = readVarint(part, i, bytes, at, width, name)
  }
  return bytes
}

/** Writes the low bytes of one varint. @returns the offset behind it */
function readVarint(part: Uint8Array, from: number, to: Uint8Array, at: number, width: number, name: string): number {
  let [pending, bits, written] = [0, 0, 0]
  for (let i = from; i < from + 10 && i < part.length; i++) {
    pending += (part[i] & 127) * 2 ** bits
    bits += 7
    while (bits >= 8 && written < width) {
      to[at + written++] = pending & 255
      pending = Math.floor(pending / 256)
      bits -= 8
    }
    if (part[i] >= 128) continue
    if (written < width) to[at + written] = pending & 255
    return i + 1
  }
  throw damaged(name, 'holds a number of more than ten bytes')
}

/** Elements of a few bits, the first one in the lowest bits of a byte, as one byte each. */
function unpack(bytes: Uint8Array, elements: number, bits: 2 | 4, signed: boolean): Uint8Array {
  const result = new Uint8Array(elements)
  const perByte = 8 / bits
  for (let i = 0; i < elements; i++) {
    const value = bytes[Math.floor(i / perByte)] >> (i % perByte) * bits & (1 << bits) - 1
    result[i] = signed && value >= 1 << bits - 1 ? value - (1 << bits) : value
  }
  return result
}

/**
 * The tensor in a dtype of the core, on its own storage: the file's bytes belong to the caller. Integers beyond 2^53
 * become the nearest such number: exporters write the largest integer where they mean "to the end".
 */
export function toCoreTensor(value: FileTensor, name: string): Tensor {
  if (value.dtype !== 'int64' && value.dtype !== 'uint64') {
    const read = toTensor(value, name)
    return read.data.buffer === value.bytes.buffer ? { ...read, data: read.data.slice() } : read
  }
  const view = new DataView(value.bytes.buffer, value.bytes.byteOffset, value.bytes.byteLength)
  const data = allocate('int64', sizeOf(value.shape))
  for (let i = 0; i < data.length; i++) {
    const number = Number(value.dtype === 'int64' ? view.getBigInt64(8 * i, true) : view.getBigUint64(8 * i, true))
    data[i] = Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number))
  }
  return { dtype: 'int64', shape: value.shape, data }
}
