/**
 * @file Arrays as they lie in files: an element type, a shape, little-endian row-major bytes, often a view of the file at any
 * alignment. The core knows four dtypes; everything that files hold beside them is converted here.
 */
import { UntrustedInputError } from '../core/errors/errors.js'
import { allocate, type DType, sizeOf, type Tensor } from '../core/tensor/tensor.js'

/** Element types of files that hold weights. */
export type FileDType = 'float64' | 'float32' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint64'
  | 'uint32' | 'uint16' | 'uint8' | 'bool'

/** An array of a file. `bytes` has exactly the elements of `shape`. */
export interface FileTensor {
  readonly dtype: FileDType
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** Arrays by name, in the order of the file. */
export type NamedTensors = ReadonlyMap<string, FileTensor>

const BYTES: Readonly<Record<FileDType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
}

/** Bytes of one element. */
export function elementBytes(dtype: FileDType): number {
  return BYTES[dtype]
}

/** Whether the elements are real numbers, as weights are. */
export function isFloating(dtype: FileDType): boolean {
  return dtype === 'float64' || dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16'
}

/** The dtype in which the core holds these elements: half precisions become float32, all integers int64. */
export function coreDType(dtype: FileDType): DType {
  if (dtype === 'float64' || dtype === 'bool') return dtype
  return isFloating(dtype) ? 'float32' : 'int64'
}

/**
 * The array as a tensor of the core: a view where type and alignment allow it, else a copy.
 * @throws UntrustedInputError when a 64-bit integer is beyond 2^53
 */
export function toTensor(value: FileTensor, name: string): Tensor {
  const { dtype, shape, bytes } = value
  const { buffer, byteOffset, byteLength } = byteOffsetOf(bytes, BYTES[dtype])
  const length = byteLength / BYTES[dtype]
  switch (dtype) {
    case 'float64':
      return { dtype, shape, data: new Float64Array(buffer, byteOffset, length) }
    case 'float32':
      return { dtype, shape, data: new Float32Array(buffer, byteOffset, length) }
    case 'bool':
      return { dtype, shape, data: bytes.map(byte => (byte === 0 ? 0 : 1)) }
    case 'float16':
      return { dtype: 'float32', shape,
        data: Float32Array.from(new Uint16Array(buffer, byteOffset, length), halfToNumber) }
    case 'bfloat16':
      return { dtype: 'float32', shape, data: fromBfloat16(new Uint16Array(buffer, byteOffset, length)) }
    case 'int64':
      return integers(new BigInt64Array(buffer, byteOffset, length), shape, name)
    case 'uint64':
      return integers(new BigUint64Array(buffer, byteOffset, length), shape, name)
    case 'int32':
      return { dtype: 'int64', shape, data: Float64Array.from(new Int32Array(buffer, byteOffset, length)) }
    case 'uint32':
      return { dtype: 'int64', shape, data: Float64Array.from(new Uint32Array(buffer, byteOffset, length)) }
    case 'int16':
      return { dtype: 'int64', shape, data: Float64Array.from(new Int16Array(buffer, byteOffset, length)) }
    case 'uint16':
      return { dtype: 'int64', shape, data: Float64Array.from(new Uint16Array(buffer, byteOffset, length)) }
    case 'int8':
      return { dtype: 'int64', shape, data: Float64Array.from(new Int8Array(buffer, byteOffset, length)) }
    case 'uint8':
      return { dtype: 'int64', shape, data: Float64Array.from(bytes) }
  }
}

/** The bytes at an address that typed arrays of the element take. */
function byteOffsetOf(bytes: Uint8Array, width: number): Uint8Array {
  // A new array, not `slice`: of Node's Buffers that is a view.
  return bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes)
}

function integers(values: BigInt64Array | BigUint64Array, shape: readonly number[], name: string): Tensor {
  const data = allocate('int64', sizeOf(shape))
  for (let i = 0; i < data.length; i++) {
    data[i] = Number(values[i])
    if (!Number.isSafeInteger(data[i])) {
      throw new UntrustedInputError(`The array '${name}' holds the integer ${values[i]} at ${i}, beyond 2^53.`, {
        format: 'array',
        path: name,
        actual: String(values[i]),
      })
    }
  }
  return { dtype: 'int64', shape, data }
}

/** IEEE 754 binary16. */
export function halfToNumber(bits: number): number {
  const sign = (bits & 0x8000) !== 0 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The upper half of a float32. */
function fromBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length)
  for (let i = 0; i < words.length; i++) words[i] = bits[i] << 16
  return new Float32Array(words.buffer)
}

/** A tensor of the core as an array of a file: a view, except for integers. */
export function fromTensor({ dtype, shape, data }: Tensor): FileTensor {
  const { buffer, byteOffset, byteLength } = dtype === 'int64' ? BigInt64Array.from(data, BigInt) : data
  return { dtype, shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) }
}
