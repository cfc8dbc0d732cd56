/**
 * @file The array type inside the library: a dtype, a shape, row-major data.
 *
 * Integers are held exactly in doubles (shapes, indices and labels never exceed 2^53), so that a value is read the
 * same way whatever its dtype. Storage types of files (float16, int8, BigInt) stay in the adapters.
 */
import { isList } from '../errors/demand.js'
import { DataError, InternalError, ShapeError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'

/** Element types of values in a graph. `int64` is stored in a Float64Array, `bool` as 0 and 1 in a Uint8Array. */
export type DType = 'float32' | 'float64' | 'int64' | 'bool'

/** The two dtypes that a network is computed in. */
export type Precision = 'float32' | 'float64'

/** What holds the elements of a tensor. */
export type TensorData = Float32Array | Float64Array | Uint8Array

/** A dense row-major array. `data.length` is the product of `shape`; a scalar has shape `[]`. */
export interface Tensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: TensorData
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1
  for (const extent of shape) size *= extent
  return size
}

/** Zero-filled storage for `length` elements of a dtype. @throws DataError BAD_ARRAY for another dtype */
export function allocate(dtype: DType, length: number): TensorData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length)
    case 'bool':
      return new Uint8Array(length)
    case 'float64':
    case 'int64':
      return new Float64Array(length)
    default:
      throw new DataError('BAD_ARRAY', `A tensor's dtype is float32, float64, int64 or bool; got ${shown(dtype)}.`)
  }
}

/**
 * Builds a tensor; plain numbers are copied into the dtype's storage, typed data of that storage is kept as a view.
 * @throws ShapeError when shape and values differ in size; DataError BAD_ARRAY for what is no list
 */
export function tensor(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  if (!Array.isArray(shape) || !isList(values)) throw noTensor('A tensor', `${shown(shape)} and ${shown(values)}`)
  if (values.length !== sizeOf(shape)) {
    throw new ShapeError(
      `A tensor of shape [${shape.join(', ')}] needs ${sizeOf(shape)} elements; got ${values.length}.`,
      { expected: shape, actual: values.length },
    )
  }
  if (dtype === 'float32' && values instanceof Float32Array) return { dtype, shape, data: values }
  if ((dtype === 'float64' || dtype === 'int64') && values instanceof Float64Array) {
    return { dtype, shape, data: values }
  }
  if (dtype === 'bool' && values instanceof Uint8Array) return { dtype, shape, data: values }
  const data = allocate(dtype, values.length)
  for (let i = 0; i < values.length; i++) {
    const value: unknown = values[i]
    if (typeof value === 'number') data[i] = value
    else if (dtype === 'bool' && typeof value === 'boolean') data[i] = Number(value)
    else throw noTensor('A tensor', `${shown(value)} at ${i}`)
  }
  return { dtype, shape, data }
}

/** A float64 tensor. */
export function float64(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return tensor('float64', shape, values)
}

/** @throws DataError BAD_ARRAY for what is no tensor */
export function demandTensor(name: string, value: unknown): asserts value is Tensor {
  if (typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value && 'data' in value
    && Array.isArray(value.shape) && ArrayBuffer.isView(value.data)) return
  throw noTensor(name, shown(value))
}

function noTensor(name: string, found: string): DataError {
  return new DataError('BAD_ARRAY',
    `${name} must be a tensor { dtype, shape, data }, a list of lengths and a list of numbers; got ${found}.`, {
    array: name,
  })
}

/** The tensor's data as float64: its own storage when it is one already, else a copy. */
export function toFloat64(value: Tensor): Float64Array {
  return value.data instanceof Float64Array ? value.data : Float64Array.from(value.data)
}

/** The same elements under another shape, without a copy. */
export function reshape(value: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== value.data.length) {
    throw new InternalError(`Cannot view ${value.data.length} elements as [${shape.join(', ')}].`)
  }
  return { dtype: value.dtype, shape, data: value.data }
}

/** Rows `from` to `to` (exclusive) of the first axis, without a copy. */
export function rows(value: Tensor, from: number, to: number): Tensor {
  const width = value.shape[0] === 0 ? 0 : value.data.length / value.shape[0]
  return { dtype: value.dtype, shape: [to - from, ...value.shape.slice(1)],
    data: value.data.subarray(from * width, to * width) }
}

/** The tensor in another dtype; itself when it has that dtype already. */
export function cast(value: Tensor, dtype: DType): Tensor {
  if (value.dtype === dtype) return value
  if (dtype === 'bool') return tensor(dtype, value.shape, Array.from(value.data, v => (v !== 0 ? 1 : 0)))
  const integer = dtype === 'int64'
  const data = allocate(dtype, value.data.length)
  for (let i = 0; i < data.length; i++) data[i] = integer ? Math.trunc(value.data[i]) : value.data[i]
  return { dtype, shape: value.shape, data }
}

/** A shape as it is printed in messages, for example `2 x 3`; a scalar is `scalar`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' x ')
}
