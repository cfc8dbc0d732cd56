/** @file NumPy's `.npy` arrays (numpy.lib.format, versions 1 to 3). */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { type DType, sizeOf, type Tensor } from '../../core/tensor/tensor.js'

const MAGIC = '\u0093NUMPY'

/** Bytes and reader of each element type, by NumPy's type string without its byte order. */
const ELEMENTS: Readonly<
  Record<string,
    { readonly bytes: number, readonly dtype: DType,
      readonly read: (view: DataView, at: number, little: boolean) => number }>
> = {
  f8: { bytes: 8, dtype: 'float64', read: (v, at, le) => v.getFloat64(at, le) },
  f4: { bytes: 4, dtype: 'float32', read: (v, at, le) => v.getFloat32(at, le) },
  i8: { bytes: 8, dtype: 'int64', read: (v, at, le) => Number(v.getBigInt64(at, le)) },
  u8: { bytes: 8, dtype: 'int64', read: (v, at, le) => Number(v.getBigUint64(at, le)) },
  i4: { bytes: 4, dtype: 'int64', read: (v, at, le) => v.getInt32(at, le) },
  u4: { bytes: 4, dtype: 'int64', read: (v, at, le) => v.getUint32(at, le) },
  i2: { bytes: 2, dtype: 'int64', read: (v, at, le) => v.getInt16(at, le) },
  u2: { bytes: 2, dtype: 'int64', read: (v, at, le) => v.getUint16(at, le) },
  i1: { bytes: 1, dtype: 'int64', read: (v, at) => v.getInt8(at) },
  u1: { bytes: 1, dtype: 'int64', read: (v, at) => v.getUint8(at) },
  b1: { bytes: 1, dtype: 'bool', read: (v, at) => v.getUint8(at) },
}

/** Whether bytes begin as a `.npy` file does. */
export function isNpy(bytes: Uint8Array): boolean {
  return bytes.length >= 10 && String.fromCharCode(...bytes.subarray(0, 6)) === MAGIC
}

/**
 * Reads one array.
 * @throws UntrustedInputError when the header is malformed, the type is not numeric, or the sizes disagree
 */
export function readNpy(bytes: Uint8Array): Tensor {
  const fail = (message: string, offset: number): UntrustedInputError =>
    new UntrustedInputError(`NumPy file: ${message}`, { format: 'npy', offset })
  if (!isNpy(bytes)) throw fail('it does not begin with the magic \\x93NUMPY.', 0)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const long = bytes[6] >= 2
  if (bytes.length < 12) throw fail('it ends within its header.', bytes.length)
  const start = long ? 12 : 10
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true)
  if (start + length > bytes.length) {
    throw fail(`its header claims ${length} bytes, and ${bytes.length - start} are there.`, 8)
  }
  const header = new TextDecoder().decode(bytes.subarray(start, start + length))
  const type = /'descr':\s*'([<>|=])([a-z]\d+)'/.exec(header)
  const order = /'fortran_order':\s*(True|False)/.exec(header)
  const dims = /'shape':\s*\(([\d, ]*)\)/.exec(header)
  if (type === null || order === null || dims === null) {
    throw fail('its header has no plain descr, fortran_order and shape (object and structured arrays are not read).',
      start)
  }
  const element = ELEMENTS[type[2]]
  if (element === undefined) {
    throw fail(`element type ${type[2]} is not read; save the array as float64 or int64.`, start)
  }
  const shape = dims[1].split(',').map(part => part.trim()).filter(part => part !== '').map(Number)
  const size = sizeOf(shape)
  if (size * element.bytes !== bytes.length - start - length) {
    throw fail(
      `shape (${shape.join(', ')}) of ${type[2]} needs ${size * element.bytes} bytes, and ${
        bytes.length - start - length
      } are there.`,
      start + length,
    )
  }
  const data = element.dtype === 'float32'
    ? new Float32Array(size)
    : element.dtype === 'bool'
    ? new Uint8Array(size)
    : new Float64Array(size)
  const little = type[1] !== '>'
  for (let i = 0; i < size; i++) data[i] = element.read(view, start + length + i * element.bytes, little)
  const value: Tensor = { dtype: element.dtype, shape, data }
  return order[1] === 'True' ? fromColumnMajor(value) : value
}

function fromColumnMajor(value: Tensor): Tensor {
  const { shape } = value
  const data = value.data.slice()
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)))
  const index = shape.map(() => 0)
  for (let i = 0; i < data.length; i++) {
    let from = 0
    for (let axis = 0; axis < shape.length; axis++) from += index[axis] * strides[axis]
    data[i] = value.data[from]
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0
  }
  return { dtype: value.dtype, shape, data }
}

/** Writes a float64 array as a version 1.0 file. */
export function writeNpy(value: Tensor): Uint8Array {
  const shape = value.shape.length === 1 ? `${value.shape[0]},` : value.shape.join(', ')
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${shape}), }`
  const padding = 64 - ((10 + text.length + 1) % 64)
  const header = new TextEncoder().encode(`${text}${' '.repeat(padding)}\n`)
  const bytes = new Uint8Array(10 + header.length + 8 * value.data.length)
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0])
  const view = new DataView(bytes.buffer)
  view.setUint16(8, header.length, true)
  bytes.set(header, 10)
  for (let i = 0; i < value.data.length; i++) view.setFloat64(10 + header.length + 8 * i, value.data[i], true)
  return bytes
}
