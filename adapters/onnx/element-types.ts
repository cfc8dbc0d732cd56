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
}

const type = (name: string, field: StorageField, dtype?: FileDType, packedBits?: 2 | 4): ElementType => ({
  name,
  field,
  ...(dtype === undefined ? {} : { dtype }),
  ...(packedBits === undefined ? {} : { packedBits }),
})

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
  [17, type('FLOAT8E4M3FN', 'int32_data')],
  [18, type('FLOAT8E4M3FNUZ', 'int32_data')],
  [19, type('FLOAT8E5M2', 'int32_data')],
  [20, type('FLOAT8E5M2FNUZ', 'int32_data')],
  [21, type('UINT4', 'int32_data', 'uint8', 4)],
  [22, type('INT4', 'int32_data', 'int8', 4)],
  [23, type('FLOAT4E2M1', 'int32_data')],
  [24, type('FLOAT8E8M0', 'int32_data')],
  [25, type('UINT2', 'int32_data', 'uint8', 2)],
  [26, type('INT2', 'int32_data', 'int8', 2)],
])

/** The type of a number in a file, or undefined. */
export function elementType(code: number): ElementType | undefined {
  return TYPES.get(code)
}

/** The number of text in files. */
export const STRING = 8
