/** @file Arrays on the wire: `{dtype, shape, order, data}` and back. */
import { DataError } from '../../core/errors/errors.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { Examples, InputArray } from '../../core/tensor/examples.js'
import { sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { type DecodedMap, isMap, own } from './decoded-map.js'
import type { WireMap } from './encode.js'
import { MAX_RANK } from './limits.js'

/** Element types on the wire. */
export const WIRE_DTYPES = ['f64', 'f32', 'i32', 'i64', 'u8', 'bool'] as const
type WireDType = (typeof WIRE_DTYPES)[number]

const ITEM_BYTES: Readonly<Record<WireDType, number>> = { f64: 8, f32: 4, i32: 4, i64: 8, u8: 1, bool: 1 }

/** Fetches the bytes of `data: {file, offset, length}`; absent where files are not allowed. */
export type FileData = (reference: unknown, name: string) => Uint8Array

function bad(name: string, message: string, data: Readonly<Record<string, unknown>> = {}): DataError {
  return new DataError('BAD_ARRAY', `${name} ${message}`, { array: name, ...data })
}

/**
 * The tensor of a wire array, or of a plain list of numbers.
 * @param name what the array is called in messages
 * @throws DataError BAD_ARRAY, OptionError BAD_OPTION for an unknown dtype or order
 */
export function tensorFromWire(value: unknown, name: string, fileData?: FileData): Tensor {
  if (Array.isArray(value)) return fromList(value, name)
  if (!isMap(value)) {
    throw bad(name, 'must be an array: {dtype, shape, order, data}.', { actual: value === null ? 'nil' : typeof value })
  }
  const dtype = oneOf(`dtype of ${name}`, own(value, 'dtype'), WIRE_DTYPES)
  const order = own(value, 'order') === undefined
    ? 'C'
    : oneOf(`order of ${name}`, own(value, 'order'), ['C', 'F'] as const)
  const shape = shapeFrom(own(value, 'shape'), name)
  const bytes = bytesFrom(own(value, 'data'), name, fileData)
  const expected = checkedSize(shape, name) * ITEM_BYTES[dtype]
  if (bytes.length !== expected) {
    throw bad(name,
      `of shape [${shape.join(', ')}] and dtype ${dtype} needs ${expected} bytes; its data has ${bytes.length}.`, {
      expected,
      actual: bytes.length,
      shape,
    })
  }
  const tensor = fromBytes(dtype, shape, bytes, name)
  return order === 'F' ? fromColumnMajor(tensor) : tensor
}

/**
 * Examples: one array, or a list of arrays with the name of their input and the names of their columns where they have
 * them.
 * @throws DataError BAD_ARRAY, OptionError BAD_OPTION as `tensorFromWire`
 */
export function examplesFromWire(value: unknown, name: string, fileData?: FileData): Examples {
  const several = Array.isArray(value) && value.length > 0 && value.every(isMap)
  const arrays = (several ? value : [value]).map((item: unknown, i): InputArray => ({
    values: tensorFromWire(item, several ? `${name}[${i}]` : name, fileData),
    name: isMap(item) ? textIn(item, 'name', name) : undefined,
    columns: isMap(item) ? textsIn(item, 'columns', name) : undefined,
  }))
  const [first] = arrays
  return !several && first.name === undefined && first.columns === undefined ? first.values : arrays
}

function textIn(map: DecodedMap, key: string, name: string): string | undefined {
  const value = own(map, key) ?? undefined
  if (value === undefined || typeof value === 'string') return value
  throw bad(name, `has a ${key} that is no text.`)
}

function textsIn(map: DecodedMap, key: string, name: string): readonly string[] | undefined {
  const value = own(map, key) ?? undefined
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value
  throw bad(name, `has ${key} that are no list of texts.`)
}

function fromList(value: readonly unknown[], name: string): Tensor {
  const data = new Float64Array(value.length)
  for (let i = 0; i < data.length; i++) {
    const item = value[i]
    if (typeof item !== 'number') {
      throw bad(name,
        `given as a list must hold numbers only; item ${i} is ${
          item === null ? 'nil' : typeof item
        }. Matrices travel as {dtype, shape, order, data}.`)
    }
    data[i] = item
  }
  return { dtype: data.every(Number.isInteger) ? 'int64' : 'float64', shape: [data.length], data }
}

function shapeFrom(value: unknown, name: string): number[] {
  if (!Array.isArray(value) || value.length > MAX_RANK ||
    !value.every(extent => Number.isSafeInteger(extent) && extent >= 0)) {
    throw bad(name, `needs a shape: a list of at most ${MAX_RANK} lengths, none negative.`)
  }
  return value as number[]
}

function checkedSize(shape: readonly number[], name: string): number {
  const size = sizeOf(shape)
  if (!Number.isSafeInteger(size * 8)) throw bad(name, `has an impossible shape [${shape.join(', ')}].`, { shape })
  return size
}

function bytesFrom(value: unknown, name: string, fileData: FileData | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (isMap(value) && fileData !== undefined) return fileData(value, name)
  throw bad(name,
    isMap(value) ? 'refers to a file, and the server was not started with --read-dir.' : 'has no data: bin is needed.')
}

/** Data at any offset of the frame: a view where the alignment allows it, else a copy. */
function aligned(bytes: Uint8Array, itemBytes: number): Uint8Array {
  return bytes.byteOffset % itemBytes === 0 ? bytes : new Uint8Array(bytes)
}

function fromBytes(dtype: WireDType, shape: readonly number[], bytes: Uint8Array, name: string): Tensor {
  const { buffer, byteOffset, byteLength } = aligned(bytes, ITEM_BYTES[dtype])
  const length = byteLength / ITEM_BYTES[dtype]
  switch (dtype) {
    case 'f64':
      return { dtype: 'float64', shape, data: new Float64Array(buffer, byteOffset, length) }
    case 'f32':
      return { dtype: 'float32', shape, data: new Float32Array(buffer, byteOffset, length) }
    case 'i32':
      return { dtype: 'int64', shape, data: Float64Array.from(new Int32Array(buffer, byteOffset, length)) }
    case 'u8':
      return { dtype: 'int64', shape, data: Float64Array.from(bytes) }
    case 'bool':
      if (!bytes.every(byte => byte <= 1)) throw bad(name, 'of dtype bool must hold bytes 0 and 1.')
      return { dtype: 'bool', shape, data: bytes }
    case 'i64':
      return { dtype: 'int64', shape, data: fromLong(new BigInt64Array(buffer, byteOffset, length), name) }
  }
}

function fromLong(values: BigInt64Array, name: string): Float64Array {
  const data = new Float64Array(values.length)
  for (let i = 0; i < data.length; i++) {
    const value = Number(values[i])
    if (!Number.isSafeInteger(value)) {
      throw bad(name, `holds the integer ${values[i]} at ${i}, beyond 2^53 - 1.`, { index: i })
    }
    data[i] = value
  }
  return data
}

/** The same values in row-major order. */
function fromColumnMajor(value: Tensor): Tensor {
  const { shape, data } = value
  // One axis may be empty and another huge.
  if (shape.length < 2 || data.length === 0) return value
  const result = data.slice()
  const [first, ...rest] = shape
  const columns = sizeOf(rest)
  // The last axes of a column-major array are reversed among themselves: index them by counting in row-major order.
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)))
  const index = rest.map(() => 0)
  for (let column = 0; column < columns; column++) {
    let source = 0
    for (let axis = 0; axis < index.length; axis++) source += index[axis] * strides[axis + 1]
    for (let row = 0, target = column; row < first; row++, target += columns) result[target] = data[source + row]
    for (let axis = index.length - 1; axis >= 0 && ++index[axis] === rest[axis]; axis--) index[axis] = 0
  }
  return { dtype: value.dtype, shape, data: result }
}

/** A tensor as a wire array, without a copy: integers travel as doubles. */
export function tensorToWire(value: Tensor): WireMap {
  const dtype = value.dtype === 'float32' ? 'f32' : value.dtype === 'bool' ? 'bool' : 'f64'
  const { buffer, byteOffset, byteLength } = value.data
  return { dtype, shape: value.shape, order: 'C', data: new Uint8Array(buffer, byteOffset, byteLength) }
}

/** A row-major array of doubles as a wire array. */
export function doublesToWire(shape: readonly number[], data: Float64Array): WireMap {
  return tensorToWire({ dtype: 'float64', shape, data })
}
