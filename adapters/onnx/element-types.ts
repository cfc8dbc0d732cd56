/** @file The element types of ONNX tensors (TensorProto.DataType) and where their values may be stored. */
import type { FileDType } from '../tensors/file-tensor.js'

/** The storage fields of a tensor beside raw_data. */
export type StorageField = 'float_data' | 'double_data' | 'int32_data' | 'int64_data' | 'uint64_data' | 'string_data'

/** How elements of one type are stored. */
export interface ElementType {
  readonly name: string
  /** The field that holds its values when raw_data does not. */
  readonly field: StorageField
  /** The type in which files are read; absent for those that are not supported. */
  readonly dtype?: FileDType
  /** Bits of an element that is packed with others into a byte. */
  readonly packedBits?: 2 | 4
  /** The number that an element of 8 bits or fewer stands for, where it is real. */
  readonly decode?: (bits: number) => number
}

const type = (name: string, field: StorageField, dtype?: FileDType, packedBits?: 2 | 4): ElementType => ({
  name,
  field,
  ...(dtype === undefined ? {} : { dtype }),
  ...(packedBits === undefined ? {} : { packedBits }),
})

/** How the bits of a small real number are divided: sign, exponent, fraction. */
interface SmallReal {
  readonly exponent: number
  readonly fraction: number
  readonly bias: number
  /** Bits that are no number, or infinite. */
  readonly special: (bits: number) => number | undefined
}

function small({ exponent, fraction, bias, special }: SmallReal): (bits: number) => number {
  return bits => {
    const found = special(bits)
    if (found !== undefined) return found
    const sign = bits >> exponent + fraction === 0 ? 1 : -1
    const [power, digits] = [bits >> fraction & (1 << exponent) - 1, bits & (1 << fraction) - 1]
    const unit = 2 ** -fraction
    return sign * (power === 0 ? digits * unit * 2 ** (1 - bias) : (1 + digits * unit) * 2 ** (power - bias))
  }
}

const realType = (name: string, decode: (bits: number) => number, packedBits?: 4): ElementType => ({
  ...type(name, 'int32_data', 'float32', packedBits),
  decode,
})

const nanAt = (...codes: readonly number[]) => (bits: number): number | undefined =>
  codes.includes(bits) ? NaN : undefined

/** Infinity and NaN where the exponent's bits are all set. */
const ieee = (bits: number): number | undefined => {
  if ((bits & 0x7c) !== 0x7c) return undefined
  return (bits & 3) !== 0 ? NaN : bits < 128 ? Infinity : -Infinity
}

const TYPES: ReadonlyMap<number, ElementType> = new Map([
  [1, type('FLOAT', 'float_data', 'float32')],
  [2, type('UINT8', 'int32_data', 'uint8')],
  [3, type('INT8', 'int32_data', 'int8')],
  [4, type('UINT16', 'int32_data', 'uint16')],
  [5, type('INT16', 'int32_data', 'int16')],
  [6, type('INT32', 'int32_data', 'int32')],
  [7, type('INT64', 'int64_data', 'int64')],
  [8, type('STRING', 'string_data')],
  [9, type('BOOL', 'int32_data', 'bool')],
  [10, type('FLOAT16', 'int32_data', 'float16')],
  [11, type('DOUBLE', 'double_data', 'float64')],
  [12, type('UINT32', 'uint64_data', 'uint32')],
  [13, type('UINT64', 'uint64_data', 'uint64')],
  [14, type('COMPLEX64', 'float_data')],
  [15, type('COMPLEX128', 'double_data')],
  [16, type('BFLOAT16', 'int32_data', 'bfloat16')],
  [17, realType('FLOAT8E4M3FN', small({ exponent: 4, fraction: 3, bias: 7, special: nanAt(0x7f, 0xff) }))],
  [18, realType('FLOAT8E4M3FNUZ', small({ exponent: 4, fraction: 3, bias: 8, special: nanAt(0x80) }))],
  [19, realType('FLOAT8E5M2', small({ exponent: 5, fraction: 2, bias: 15, special: ieee }))],
  [20, realType('FLOAT8E5M2FNUZ', small({ exponent: 5, fraction: 2, bias: 16, special: nanAt(0x80) }))],
  [21, type('UINT4', 'int32_data', 'uint8', 4)],
  [22, type('INT4', 'int32_data', 'int8', 4)],
  [23, realType('FLOAT4E2M1', small({ exponent: 2, fraction: 1, bias: 1, special: nanAt() }), 4)],
  [24, realType('FLOAT8E8M0', bits => (bits === 255 ? NaN : 2 ** (bits - 127)))],
  [25, type('UINT2', 'int32_data', 'uint8', 2)],
  [26, type('INT2', 'int32_data', 'int8', 2)],
])

/** The type of a number in a file, or undefined. */
export function elementType(code: number): ElementType | undefined {
  return TYPES.get(code)
}

/** The number of text in files. */
export const STRING = 8
