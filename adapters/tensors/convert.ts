/** @file Arrays of files as tensors of the core, and back. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { allocate, type DType, sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { elementBytes, type FileDType, type FileTensor, isFloating } from './file-tensor.js'
import { fromBfloat16, halfToNumber } from './half-precision.js'

/** The dtype in which the core holds these elements: half precisions become float32, all integers int64. */
export function coreDType(dtype: FileDType): DType {
  if (dtype === 'float64' || dtype === 'bool') return dtype
  return isFloating(dtype) ? 'float32' : 'int64'
}

/**
 * The array as a tensor of the core: a view where type and alignment allow it, else a copy. Typed arrays read bytes in
 * the order of the machine; files and all machines that this runs on are little-endian, on another every number would
 * be a wrong one and no error.
 * @throws UntrustedInputError when a 64-bit integer is beyond 2^53
 */
export function toTensor(value: FileTensor, name: string): Tensor {
  const { dtype, shape, bytes } = value
  const { buffer, byteOffset, byteLength } = byteOffsetOf(bytes, elementBytes(dtype))
  const length = byteLength / elementBytes(dtype)
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

/** A tensor of the core as an array of a file: a view, except for integers. */
export function fromTensor({ dtype, shape, data }: Tensor): FileTensor {
  const { buffer, byteOffset, byteLength } = dtype === 'int64' ? BigInt64Array.from(data, BigInt) : data
  return { dtype, shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) }
}
