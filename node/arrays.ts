/**
 * @file Arrays at the public border: ndarrays, typed arrays and nested arrays become tensors; results become ndarrays.
 */
import ndarray from 'ndarray'
import type { NdArray } from 'ndarray'
import { DataError } from '../core/errors/errors.js'
import type { Examples } from '../core/tensor/examples.js'
import { allocate, demandTensor, type DType, sizeOf, type Tensor } from '../core/tensor/tensor.js'

/** Nested arrays of numbers: rows of numbers, images as arrays of rows, ... */
export type NestedNumbers = readonly (number | NestedNumbers)[]

type PlainTyped = Float64Array | Float32Array | Int32Array | Int16Array | Int8Array | Uint32Array | Uint16Array
  | Uint8Array | Uint8ClampedArray | BigInt64Array | BigUint64Array

/**
 * What is accepted where examples or labels are due. A typed array alone is a vector; `{ data, shape }` gives it a
 * shape.
 */
export type ArrayInput = NdArray | NestedNumbers | PlainTyped | { readonly data: PlainTyped,
  readonly shape: readonly number[] } | Tensor

/**
 * An array from outside as a tensor.
 * @param name what the array is called in messages
 * @throws DataError BAD_ARRAY when it is not an array of numbers, or ragged
 */
export function toTensor(value: unknown, name: string): Tensor {
  if (isNdArray(value)) return fromNdArray(value, name)
  if (Array.isArray(value)) return fromNested(value, name)
  if (isTyped(value)) return fromTyped(value, [value.length], name)
  if (typeof value === 'object' && value !== null && 'data' in value && 'shape' in value) {
    return fromParts(value.data, value.shape, name)
  }
  throw new DataError('BAD_ARRAY',
    `${name} must be an ndarray, a typed array, { data, shape } or nested arrays of numbers; got ${describe(value)}.`, {
    array: name,
  })
}

/** Rows N x columns with the names of the columns: a posterior keeps them, and takes columns by name from then on. */
export type NamedRows = Tensor & { readonly columns?: readonly string[] }

/** Examples: an array for a network of one input, or an object with an array for each input by its name. */
export type ExamplesInput = ArrayInput | NamedRows | { readonly [input: string]: ArrayInput }

/**
 * Examples from outside.
 * @throws DataError BAD_ARRAY as `toTensor`, naming the input
 */
export function toExamples(value: unknown, name: string): Examples {
  if (isNamed(value)) {
    return Object.entries(value).map(([input, values]) => ({ name: input,
      values: toTensor(values, `${name}.${input}`) })
    )
  }
  const values = toTensor(value, name)
  const columns = (value as NamedRows).columns
  return columns === undefined ? values : [{ values, columns }]
}

/** An object of arrays, and not an array that is an object. */
function isNamed(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isTyped(value) && !isNdArray(value)
    && !('shape' in value && 'data' in value && isTyped(value.data)) && Object.keys(value).length > 0
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return `the text '${value.slice(0, 40)}'`
  return typeof value === 'object'
    ? `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no fields'}`
    : typeof value
}

function isTyped(value: unknown): value is PlainTyped {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
}

function isNdArray(value: unknown): value is NdArray {
  return typeof value === 'object' && value !== null && 'stride' in value && 'offset' in value && 'get' in value &&
    'data' in value
}

function dtypeOf(data: PlainTyped): DType {
  if (data instanceof Float32Array) return 'float32'
  return data instanceof Float64Array ? 'float64' : 'int64'
}

function fromTyped(data: PlainTyped, shape: readonly number[], name: string): Tensor {
  if (data.length !== sizeOf(shape)) {
    throw new DataError('BAD_ARRAY', `${name} has shape ${shape.join(' x ')} and ${data.length} elements.`, {
      array: name,
      shape,
      length: data.length,
    })
  }
  const dtype = dtypeOf(data)
  if (data instanceof Float32Array || data instanceof Float64Array) return { dtype, shape, data }
  return { dtype, shape, data: Float64Array.from(data as Iterable<number | bigint>, Number) }
}

function fromParts(data: unknown, shape: unknown, name: string): Tensor {
  if (!isTyped(data) || !Array.isArray(shape) || !shape.every(extent => Number.isSafeInteger(extent) && extent >= 0)) {
    throw new DataError('BAD_ARRAY', `${name} given as { data, shape } needs a typed array and a list of lengths.`, {
      array: name,
    })
  }
  return fromTyped(data, shape as number[], name)
}

function fromNdArray(value: NdArray, name: string): Tensor {
  const { shape, stride, offset } = value
  const source: unknown = value.data
  if (!isTyped(source) && !Array.isArray(source)) {
    throw new DataError('BAD_ARRAY', `${name} is an ndarray over ${describe(source)}; use a typed array.`, {
      array: name,
    })
  }
  const size = sizeOf(shape)
  const contiguous = shape.every((extent, axis) => extent === 1 || stride[axis] === sizeOf(shape.slice(axis + 1)))
  if (contiguous && isTyped(source)) {
    return fromTyped(source.subarray(offset, offset + size) as PlainTyped, [...shape], name)
  }
  const dtype = isTyped(source) ? dtypeOf(source) : 'float64'
  const data = allocate(dtype, size)
  const index = shape.map(() => 0)
  for (let i = 0; i < size; i++) {
    let at = offset
    for (let axis = 0; axis < shape.length; axis++) at += index[axis] * stride[axis]
    data[i] = asNumber(source[at], name)
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0
  }
  return { dtype, shape: [...shape], data }
}

function fromNested(value: readonly unknown[], name: string): Tensor {
  const shape: number[] = []
  for (let level: unknown = value; Array.isArray(level) || isTyped(level); level = level[0]) shape.push(level.length)
  const data = new Float64Array(sizeOf(shape))
  let at = 0
  let integers = true
  const fill = (item: unknown, depth: number): void => {
    if (depth < shape.length) {
      if (!(Array.isArray(item) || isTyped(item)) || item.length !== shape[depth]) {
        throw new DataError('BAD_ARRAY',
          `${name} is ragged: expected ${shape[depth]} elements at depth ${depth}, in every row.`, { array: name,
          depth })
      }
      for (const inner of item as Iterable<unknown>) fill(inner, depth + 1)
      return
    }
    const number = asNumber(item, name)
    integers = integers && Number.isInteger(number)
    data[at++] = number
  }
  fill(value, 0)
  return { dtype: integers ? 'int64' : 'float64', shape, data }
}

function asNumber(item: unknown, name: string): number {
  if (typeof item === 'number' || typeof item === 'bigint') return Number(item)
  if (typeof item === 'boolean' || typeof item === 'string') throw notCoded(item, name)
  throw new DataError('BAD_ARRAY', `${name} must hold numbers only; found ${describe(item)}.`, { array: name })
}

function notCoded(item: boolean | string, name: string): DataError {
  const found = typeof item === 'string' ? `text ('${item.slice(0, 40)}')` : 'booleans'
  const advice = typeof item === 'string' && item.trim() !== '' && Number.isFinite(Number(item))
    ? 'make numbers of it: Number(text).'
    : name.startsWith('y')
    ? 'code classes as integers 0, 1, 2, ... (their place in the sorted list of distinct labels).'
    : 'give the numbers that the network itself takes (categories coded as in its training, booleans as 0 and 1).'
  return new DataError('BAD_LABELS', `${name} holds ${found}; ${advice}`, { array: name })
}

/** A tensor as an ndarray over the same data. @throws DataError BAD_ARRAY for what is none */
export function toNdArray(value: Tensor): NdArray<Float32Array | Float64Array | Uint8Array> {
  demandTensor('The array', value)
  return ndarray(value.data, [...value.shape])
}
