/**
 * @file Arrays of numbers in a Julia file, whatever wraps them: plain, tracked, transposed, on the GPU.
 *
 * Julia stores arrays column-major, so the bytes of an array of size (a, b, c) are those of a row-major array of shape
 * c x b x a. The readers use that: a Flux batch of images (W, H, C, N) is our N x C x H x W, byte for byte.
 */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { shown } from '../../../core/errors/shown.js'
import { halfToNumber } from '../../tensors/half-precision.js'
import { type Bson, type BsonDocument, isDocument } from './bson-values.js'
import { type JuliaFile, malformed, resolve, tagOf } from './julia-file.js'
import { structOf, typeOf } from './julia-types.js'
import { itemsOf, numberOf } from './julia-values.js'

/** An array of numbers. */
export interface JuliaArray {
  /** Element type: `Float32`, `Float64`, `Int64`, ... */
  readonly eltype: string
  /** Extents in Julia's order. */
  readonly size: readonly number[]
  /** The elements, column-major. Float32 and Float64 keep their storage, everything else is held in doubles. */
  readonly data: Float32Array | Float64Array
  /** The same object for the same array of the file, so that shared weights are recognised. */
  readonly identity: object
}

interface ElementType {
  readonly bytes: number
  readonly read: (view: DataView, offset: number) => number
}

const ELEMENTS: Readonly<Record<string, ElementType>> = {
  'Core.Float16': { bytes: 2, read: (view, at) => halfToNumber(view.getUint16(at, true)) },
  'BFloat16s.BFloat16': { bytes: 2, read: bfloat16 },
  'Core.BFloat16': { bytes: 2, read: bfloat16 },
  'Core.Float32': { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  'Core.Float64': { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  'Core.Bool': { bytes: 1, read: (view, at) => view.getUint8(at) },
  'Core.Int8': { bytes: 1, read: (view, at) => view.getInt8(at) },
  'Core.UInt8': { bytes: 1, read: (view, at) => view.getUint8(at) },
  'Core.Int16': { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  'Core.UInt16': { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  'Core.Int32': { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  'Core.UInt32': { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  'Core.Int64': { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  'Core.UInt64': { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
}

function bfloat16(view: DataView, at: number): number {
  const bits = new DataView(new ArrayBuffer(4))
  bits.setUint32(0, view.getUint16(at, true) << 16)
  return bits.getFloat32(0)
}

/** Arrays already read, so that a million references to one array cost one array. */
export type ArrayCache = Map<object, JuliaArray>

const GPU_ARRAYS =
  /^(CUDA|CuArrays|AMDGPU|Metal|oneAPI|GPUArrays)\.(\w+\.)*(Cu|ROC|Mtl|one)(Dense)?(Array|Vector|Matrix)$/i

/** Whether a value is an array whose numbers were left on the GPU. */
export function isGpuArray(file: JuliaFile, value: Bson | undefined): boolean {
  const struct = structOf(file, value)
  return struct !== undefined && GPU_ARRAYS.test(struct.type.path)
}

const WRAPPERS: ReadonlySet<string> = new Set([
  'Tracker.TrackedArray',
  'Flux.Tracker.TrackedArray',
  'LinearAlgebra.Adjoint',
  'LinearAlgebra.Transpose',
  'Base.LinearAlgebra.Adjoint',
  'Base.ReshapedArray',
])

/**
 * Whether a value is an array of numbers, wrapped or not; wrappers hide what is in them (a tracked array's gradient).
 */
export function isNumeric(file: JuliaFile, value: Bson | undefined): boolean {
  const current = resolve(file, value)
  if (tagOf(current) === 'array' && isDocument(current)) {
    return resolve(file, current['data']) instanceof Uint8Array &&
      Object.hasOwn(ELEMENTS, typeOf(file, current['type']).path)
  }
  const struct = structOf(file, current)
  return struct !== undefined && WRAPPERS.has(struct.type.path) && !struct.fields.some(field => isGpuArray(file, field))
}

/** The error for arrays that hold addresses instead of numbers. */
export function gpuArrayError(path: string): UntrustedInputError {
  return new UntrustedInputError(
    `The network was saved while it was on the GPU: ${
      path === '' ? 'an array' : `'${path}'`
    } holds only an address in the graphics card's memory, the numbers are not in the file. ` +
      'Load it in the Julia session that still has it and save cpu(model) instead: ' +
      'BSON.@save "model.bson" model = cpu(model).',
    { format: 'BSON.jl', path },
    'UNSUPPORTED_FORMAT',
  )
}

/**
 * Reads an array of numbers.
 * @param path where the array is, for messages
 * @returns undefined when the value is not an array of numbers
 * @throws UntrustedInputError UNTRUSTED_INPUT when size and data disagree; UNSUPPORTED_FORMAT for an array left on the
 * GPU
 */
export function arrayOf(file: JuliaFile, value: Bson | undefined, path: string, cache: ArrayCache, depth = 0):
  | JuliaArray
  | undefined {
  const current = resolve(file, value)
  if (depth > 20) throw malformed('Array wrappers are nested deeper than 20.', path)
  if (current instanceof Uint8Array) {
    const known = cache.get(current)
    return known ??
      remember(cache, current, { eltype: 'UInt8', size: [current.length], data: Float64Array.from(current),
        identity: current })
  }
  if (!isDocument(current)) return undefined
  const known = cache.get(current)
  if (known !== undefined) return known
  const read = tagOf(current) === 'array'
    ? plainArray(file, current, path)
    : wrappedArray(file, current, path, cache, depth)
  return read === undefined ? undefined : remember(cache, current, read)
}

function remember(cache: ArrayCache, identity: object, array: JuliaArray): JuliaArray {
  cache.set(identity, array)
  return array
}

/** The extents of an array: non-negative integers whose product is exact. */
function sizeField(file: JuliaFile, document: BsonDocument, path: string): number[] {
  const items = itemsOf(file, document['size'])
  if (items === undefined || items.length > 32) {
    throw malformed('The size of an array must be a list of at most 32 extents.', path)
  }
  let product = 1
  return items.map(item => {
    const extent = numberOf(file, item)
    if (extent === undefined || !Number.isInteger(extent) || extent < 0) {
      throw malformed(`An extent of an array is ${shown(extent)}.`, path)
    }
    product *= extent
    if (product > Number.MAX_SAFE_INTEGER) throw malformed('An array says it has more than 2^53 elements.', path)
    return extent
  })
}

function plainArray(file: JuliaFile, document: BsonDocument, path: string): JuliaArray | undefined {
  const bytes = resolve(file, document['data'])
  if (!(bytes instanceof Uint8Array)) return undefined
  const type = typeOf(file, document['type'])
  const element = Object.hasOwn(ELEMENTS, type.path) ? ELEMENTS[type.path] : undefined
  if (element === undefined) return undefined
  const size = sizeField(file, document, path)
  const count = size.reduce((a, b) => a * b, 1)
  if (count * element.bytes !== bytes.length) {
    throw malformed(
      `An array of size (${size.join(', ')}) of ${type.name} needs ${
        count * element.bytes
      } bytes; the file holds ${bytes.length}${path === '' ? '' : ` at ${path}`}.`,
      path,
    )
  }
  return { eltype: type.name, size, data: readElements(bytes, type.name, element, count), identity: document }
}

function readElements(bytes: Uint8Array, eltype: string, element: ElementType, count: number):
  | Float32Array
  | Float64Array {
  const { buffer, byteOffset } = bytes
  if (eltype === 'Float32' || eltype === 'Float64') {
    // Values in a BSON file are not aligned: a view where it happens to be, else a copy. Typed arrays read bytes in the
    // order of the machine, which must be the file's (little-endian): on another, all numbers would be wrong.
    const aligned = byteOffset % element.bytes === 0 ? bytes : Uint8Array.from(bytes)
    return eltype === 'Float32'
      ? new Float32Array(aligned.buffer, aligned.byteOffset, count)
      : new Float64Array(aligned.buffer, aligned.byteOffset, count)
  }
  const view = new DataView(buffer, byteOffset, bytes.byteLength)
  const data = eltype === 'Float16' || eltype === 'BFloat16' ? new Float32Array(count) : new Float64Array(count)
  for (let i = 0; i < count; i++) data[i] = element.read(view, i * element.bytes)
  return data
}

/** Arrays that wrap another one. Field positions are those of the Julia packages. */
function wrappedArray(file: JuliaFile, document: BsonDocument, path: string, cache: ArrayCache, depth: number):
  | JuliaArray
  | undefined {
  const struct = structOf(file, document)
  if (struct === undefined) return undefined
  const inner = (field: number): JuliaArray | undefined => arrayOf(file, struct.fields[field], path, cache, depth + 1)
  switch (struct.type.path) {
    case 'Tracker.TrackedArray':
    case 'Flux.Tracker.TrackedArray':
      return inner(1) // [tracker, data, gradient]; the gradient has the same shape
    case 'LinearAlgebra.Adjoint':
    case 'LinearAlgebra.Transpose':
    case 'Base.LinearAlgebra.Adjoint': {
      const parent = inner(0)
      return parent === undefined ? undefined : transposed(parent, document)
    }
    case 'Base.ReshapedArray': {
      const parent = inner(0)
      const size = itemsOf(file, struct.fields[1])?.map(extent => numberOf(file, extent) ?? -1)
      if (parent === undefined || size === undefined) return undefined
      if (size.some(extent => extent < 0) || size.reduce((a, b) => a * b, 1) !== parent.data.length) {
        throw malformed('A reshaped array does not have the size of its parent.', path)
      }
      return { ...parent, size, identity: document }
    }
    case 'Base.RefValue':
      return undefined
    default:
      if (GPU_ARRAYS.test(struct.type.path)) throw gpuArrayError(path)
      return undefined
  }
}

/** The transpose of a matrix; a vector becomes a matrix of one row. */
function transposed(array: JuliaArray, identity: object): JuliaArray {
  if (array.size.length === 1) return { ...array, size: [1, array.size[0]], identity }
  const [rows, columns] = array.size
  const data = array.data instanceof Float32Array
    ? new Float32Array(array.data.length)
    : new Float64Array(array.data.length)
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) data[row * columns + column] = array.data[column * rows + row]
  }
  return { ...array, size: [columns, rows], data, identity }
}
