/**
 * @file Writes messages in the canonical form: one exact allocation and one copy of the bulk data.
 *
 * A general encoder would copy bulk data twice (into its growing buffer, and out of it for the thread that writes), and
 * picks the width of map headers by other rules; the canonical form makes fixtures comparable byte for byte.
 */
import { InternalError } from '../../core/errors/errors.js'
import { HEADER_BYTES } from './frame.js'

/** What messages are made of. Keys whose value is undefined are left out. */
export type WireValue = null | undefined | boolean | number | string | Uint8Array | readonly WireValue[] | {
  readonly [key: string]: WireValue
}

/** A message. */
export interface WireMap {
  readonly [key: string]: WireValue
}

/** The frame of a message: length and body. */
export function encodeFrame(message: WireMap): Uint8Array<ArrayBuffer> {
  const length = measure(message)
  const frame = new Uint8Array(HEADER_BYTES + length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, length, true)
  const end = write({ bytes: frame, view }, HEADER_BYTES, message)
  if (end !== frame.length) {
    throw new InternalError(`A message was measured as ${frame.length} bytes and written as ${end}.`)
  }
  return frame
}

const encoder = new TextEncoder()

interface Target {
  readonly bytes: Uint8Array
  readonly view: DataView
}

function isInteger(value: number): boolean {
  return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 32
}

function definedKeys(value: WireMap): string[] {
  return Object.keys(value).filter(key => value[key] !== undefined)
}

function isList(value: WireValue): value is readonly WireValue[] {
  return Array.isArray(value)
}

/** Bytes of a length's header: the short form up to `short`, then 1 (where there is one), 2 or 4 bytes. */
function lengthBytes(length: number, short: number, hasOneByte: boolean): number {
  if (length <= short) return 1
  if (hasOneByte && length < 0x100) return 2
  return length < 0x10000 ? 3 : 5
}

function measure(value: WireValue): number {
  if (value === null || value === undefined || typeof value === 'boolean') return 1
  if (typeof value === 'number') return measureNumber(value)
  if (typeof value === 'string') {
    const length = Buffer.byteLength(value)
    return lengthBytes(length, 31, true) + length
  }
  if (value instanceof Uint8Array) return lengthBytes(value.length, -1, true) + value.length
  if (isList(value)) {
    return value.reduce((sum: number, item) => sum + measure(item), lengthBytes(value.length, 15, false))
  }
  const keys = definedKeys(value)
  return keys.reduce((sum, key) => sum + measure(key) + measure(value[key]), lengthBytes(keys.length, 15, false))
}

function measureNumber(value: number): number {
  if (!isInteger(value)) return 9
  if (value >= 0) return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x10000 ? 3 : 5
  return value >= -32 ? 1 : value >= -0x80 ? 2 : value >= -0x8000 ? 3 : 5
}

function write(target: Target, at: number, value: WireValue): number {
  const { bytes } = target
  if (value === null || value === undefined) {
    bytes[at] = 0xc0
    return at + 1
  }
  if (typeof value === 'boolean') {
    bytes[at] = value ? 0xc3 : 0xc2
    return at + 1
  }
  if (typeof value === 'number') return writeNumber(target, at, value)
  if (typeof value === 'string') return writeText(target, at, value)
  if (value instanceof Uint8Array) {
    const start = writeLength(target, at, value.length, undefined, [0xc4, 0xc5, 0xc6])
    bytes.set(value, start)
    return start + value.length
  }
  if (isList(value)) {
    return value.reduce((end: number, item) => write(target, end, item),
      writeLength(target, at, value.length, { base: 0x90, max: 15 }, [undefined, 0xdc, 0xdd]))
  }
  const keys = definedKeys(value)
  return keys.reduce((end, key) => write(target, writeText(target, end, key), value[key]),
    writeLength(target, at, keys.length, { base: 0x80, max: 15 }, [undefined, 0xde, 0xdf]))
}

function writeLength(target: Target, at: number, length: number, short: { base: number, max: number } | undefined,
  codes: readonly [number | undefined, number, number]): number {
  const { bytes, view } = target
  if (short !== undefined && length <= short.max) {
    bytes[at] = short.base | length
    return at + 1
  }
  if (codes[0] !== undefined && length < 0x100) {
    bytes[at] = codes[0]
    bytes[at + 1] = length
    return at + 2
  }
  if (length < 0x10000) {
    bytes[at] = codes[1]
    view.setUint16(at + 1, length)
    return at + 3
  }
  bytes[at] = codes[2]
  view.setUint32(at + 1, length)
  return at + 5
}

function writeText(target: Target, at: number, value: string): number {
  const length = Buffer.byteLength(value)
  const start = writeLength(target, at, length, { base: 0xa0, max: 31 }, [0xd9, 0xda, 0xdb])
  encoder.encodeInto(value, target.bytes.subarray(start, start + length))
  return start + length
}

function writeNumber(target: Target, at: number, value: number): number {
  const { bytes, view } = target
  if (!isInteger(value)) {
    bytes[at] = 0xcb
    view.setFloat64(at + 1, value)
    return at + 9
  }
  if (value >= 0 ? value < 0x80 : value >= -32) {
    view.setInt8(at, value)
    return at + 1
  }
  if (value >= 0) {
    if (value < 0x100) {
      bytes[at] = 0xcc
      bytes[at + 1] = value
      return at + 2
    }
    if (value < 0x10000) {
      bytes[at] = 0xcd
      view.setUint16(at + 1, value)
      return at + 3
    }
    bytes[at] = 0xce
    view.setUint32(at + 1, value)
    return at + 5
  }
  if (value >= -0x80) {
    bytes[at] = 0xd0
    view.setInt8(at + 1, value)
    return at + 2
  }
  if (value >= -0x8000) {
    bytes[at] = 0xd1
    view.setInt16(at + 1, value)
    return at + 3
  }
  bytes[at] = 0xd2
  view.setInt32(at + 1, value)
  return at + 5
}
