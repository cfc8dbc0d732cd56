/**
 * @file Arrays as they lie in files: an element type, a shape, little-endian row-major bytes, often a view of the file
 * at any alignment. The core knows four dtypes; everything that files hold beside them is converted here.
 */

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
