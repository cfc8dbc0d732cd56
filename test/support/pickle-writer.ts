/** @file A small pickle assembler: bytes from opcodes, for files that no Python would write. */
import { joined, type Part } from './bytes.js'

export type { Part }

const text = new TextEncoder()

/** Joins parts. */
export function join(...parts: readonly Part[]): Uint8Array {
  return joined(parts)
}

/** The same part many times. */
export function repeat(part: Part, count: number): Uint8Array {
  const result = new Uint8Array(part.length * count)
  for (let i = 0; i < count; i++) result.set(part, i * part.length)
  return result
}

export const ascii = (value: string): Uint8Array => text.encode(value)

/** A little-endian integer of so many bytes. */
export function little(value: number | bigint, bytes: number): Uint8Array {
  let rest = BigInt.asUintN(8 * bytes, BigInt(value))
  return Uint8Array.from({ length: bytes }, () => {
    const byte = Number(rest & 255n)
    rest >>= 8n
    return byte
  })
}

/** A whole pickle: protocol, opcodes, end. */
export const pickle = (...parts: readonly Part[]): Uint8Array => join([0x80, 2], ...parts, STOP)

export const STOP: Part = [0x2E], MARK: Part = [0x28], NONE: Part = [0x4E], TRUE: Part = [0x88], FALSE: Part = [0x89],
  DUP: Part = [0x32], POP: Part = [0x30], POP_MARK: Part = [0x31]
export const EMPTY_DICT: Part = [0x7D], EMPTY_LIST: Part = [0x5D], EMPTY_TUPLE: Part = [0x29], EMPTY_SET: Part = [0x8F]
export const APPEND: Part = [0x61], APPENDS: Part = [0x65], SET_ITEM: Part = [0x73], SET_ITEMS: Part = [0x75],
  ADD_ITEMS: Part = [0x90], FROZEN_SET: Part = [0x91]
export const TUPLE: Part = [0x74], TUPLE_1: Part = [0x85], TUPLE_2: Part = [0x86], TUPLE_3: Part = [0x87],
  LIST: Part = [0x6C], DICT: Part = [0x64]
export const REDUCE: Part = [0x52], BUILD: Part = [0x62], NEW_OBJECT: Part = [0x81], NEW_OBJECT_EX: Part = [0x92],
  OBJECT: Part = [0x6F], STACK_GLOBAL: Part = [0x93], MEMOIZE: Part = [0x94], PERSISTENT: Part = [0x51]

export const int = (value: number): Uint8Array => join([0x4A], little(value, 4))
export const long = (value: bigint | number, bytes = 8): Uint8Array => join([0x8A, bytes], little(value, bytes))
export function float(value: number): Uint8Array {
  const bytes = new Uint8Array(9)
  bytes[0] = 0x47
  new DataView(bytes.buffer).setFloat64(1, value)
  return bytes
}
export const raw = (bytes: Part): Uint8Array => join([0x58], little(bytes.length, 4), bytes)
export const str = (value: string): Uint8Array => raw(ascii(value))
export const bytesOf = (bytes: Part): Uint8Array => join([0x42], little(bytes.length, 4), bytes)
export const global = (module: string, name: string): Uint8Array => ascii(`c${module}\n${name}\n`)
export const put = (index: number): Uint8Array => join([0x72], little(index, 4))
export const get = (index: number): Uint8Array => join([0x6A], little(index, 4))
export const frame = (length: number | bigint): Uint8Array => join([0x95], little(length, 8))

/** A tuple, list, dictionary of finished values. */
export const tuple = (...items: readonly Part[]): Uint8Array => join(MARK, ...items, TUPLE)
export const list = (...items: readonly Part[]): Uint8Array => join(EMPTY_LIST, MARK, ...items, APPENDS)
export const dict = (entries: Readonly<Record<string, Part>>): Uint8Array =>
  join(EMPTY_DICT, MARK, ...Object.entries(entries).flatMap(([key, value]) => [str(key), value]), SET_ITEMS)
/** A call. */
export const call = (module: string, name: string, ...args: readonly Part[]): Uint8Array =>
  join(global(module, name), tuple(...args), REDUCE)

/** A storage of PyTorch. */
export const storage = (key: string, length: number, cls = 'FloatStorage'): Uint8Array =>
  join(tuple(str('storage'), global('torch', cls), str(key), str('cpu'), int(length)), PERSISTENT)
export const ints = (values: readonly number[]): Uint8Array => tuple(...values.map(int))
export const orderedDict = (): Uint8Array => call('collections', 'OrderedDict')
/** A tensor of PyTorch on a storage. */
export const tensor = (source: Part, offset: number, size: readonly number[], stride: readonly number[]): Uint8Array =>
  call('torch._utils', '_rebuild_tensor_v2', source, int(offset), ints(size), ints(stride), FALSE, orderedDict())
