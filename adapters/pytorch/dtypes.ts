/** @file Element types of PyTorch by the names that files use. */
import type { FileDType } from '../tensors/file-tensor.js'

/** A type of which the reader knows the size, but perhaps not more. */
export interface ElementType {
  /** torch's word, for messages: `float32`, `complex64`. */
  readonly name: string
  /** Undefined for types whose elements are not plain real numbers. */
  readonly dtype: FileDType | undefined
  /** Bytes of one element; undefined for packed ones. */
  readonly bytes: number | undefined
}

const plain = (name: FileDType, bytes: number): ElementType => ({ name, dtype: name, bytes })
const foreign = (name: string, bytes?: number): ElementType => ({ name, dtype: undefined, bytes })

const TYPES: readonly ElementType[] = [
  plain('float64', 8),
  plain('float32', 4),
  plain('float16', 2),
  plain('bfloat16', 2),
  plain('int64', 8),
  plain('int32', 4),
  plain('int16', 2),
  plain('int8', 1),
  plain('uint64', 8),
  plain('uint32', 4),
  plain('uint16', 2),
  plain('uint8', 1),
  plain('bool', 1),
  foreign('complex32', 4),
  foreign('complex64', 8),
  foreign('complex128', 16),
  foreign('qint8', 1),
  foreign('quint8', 1),
  foreign('qint32', 4),
  foreign('quint4x2'),
  foreign('quint2x4'),
  foreign('float8_e4m3fn', 1),
  foreign('float8_e5m2', 1),
  foreign('float8_e4m3fnuz', 1),
  foreign('float8_e5m2fnuz', 1),
  foreign('float8_e8m0fnu', 1),
  foreign('float4_e2m1fn_x2'),
]

const BY_NAME: ReadonlyMap<string, ElementType> = new Map(TYPES.map(type => [type.name, type]))

/** Storage classes by name. */
const STORAGES: Readonly<Record<string, string>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
  QInt8Storage: 'qint8',
  QUInt8Storage: 'quint8',
  QInt32Storage: 'qint32',
  QUInt4x2Storage: 'quint4x2',
  QUInt2x4Storage: 'quint2x4',
}

/**
 * The elements of a storage class such as `torch.FloatStorage` or `torch.cuda.FloatStorage`; bytes for an untyped one;
 * undefined for other names.
 */
export function storageType(path: string): ElementType | undefined {
  const [, name] = /^torch\.(?:cuda\.|storage\.)?(\w+)$/.exec(path) ?? []
  if (name === undefined) return undefined
  if (name === 'UntypedStorage') return UNTYPED
  return Object.hasOwn(STORAGES, name) ? BY_NAME.get(STORAGES[name]) : undefined
}

/** The elements of a storage without a type: its size counts bytes. */
export const UNTYPED: ElementType = { name: 'bytes', dtype: 'uint8', bytes: 1 }

/** A dtype such as `torch.uint16`; names that are not known here are types that cannot be read. */
export function dtypeOf(path: string): ElementType | undefined {
  const [, name] = /^torch\.(\w+)$/.exec(path) ?? []
  return name === undefined ? undefined : BY_NAME.get(name) ?? foreign(name.slice(0, 50))
}
