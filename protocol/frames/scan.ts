/**
 * @file Checks the bytes of a message before anything is built from them.
 *
 * msgpack decoders accept more than the protocol does (extension types, the unused byte 0xc1, repeated keys, broken
 * UTF-8, integers that doubles cannot hold). Every one of those is refused here, in one pass that allocates only the
 * set of keys of the open maps and jumps over bulk data.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { MAX_DEPTH, MAX_ITEMS, MAX_TOTAL_ITEMS } from './limits.js'

const FORBIDDEN_KEY = '__proto__'

interface Cursor {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number
  items: number
}

/** A map or an array whose items are being read; maps count keys and values. */
interface Open {
  left: number
  readonly keys: Set<string> | undefined
}

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Checks that `bytes` are one map of the allowed msgpack types, within the limits.
 * @throws UntrustedInputError with the offset of the first fault
 */
export function scanMessage(bytes: Uint8Array): void {
  const cursor: Cursor = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0,
    items: 0 }
  const stack: Open[] = []
  const first = bytes[0]
  if (!isMapByte(first)) throw fault('a message must be one map', 0, describeByte(first))
  scanItem(cursor, stack)
  while (stack.length > 0) {
    const open = stack[stack.length - 1]
    if (open.left === 0) {
      stack.pop()
      continue
    }
    open.left--
    if (open.keys !== undefined && open.left % 2 === 1) scanKey(cursor, open.keys)
    else scanItem(cursor, stack)
  }
  if (cursor.at !== bytes.length) throw fault(`${bytes.length - cursor.at} bytes follow the message`, cursor.at)
}

function fault(what: string, offset: number, actual?: unknown, limit?: number): UntrustedInputError {
  return new UntrustedInputError(
    `Not a valid message: ${what} (byte ${offset}${actual === undefined ? '' : `, found ${String(actual)}`}).`,
    { format: 'msgpack', offset, ...(actual === undefined ? {} : { actual }),
      ...(limit === undefined ? {} : { limit }) },
  )
}

function describeByte(byte: number | undefined): string {
  return byte === undefined ? 'nothing' : `0x${byte.toString(16).padStart(2, '0')}`
}

function isMapByte(byte: number): boolean {
  return (byte & 0xf0) === 0x80 || byte === 0xde || byte === 0xdf
}

/** Moves the cursor over `count` bytes and returns where they began. */
function take(cursor: Cursor, count: number): number {
  const start = cursor.at
  if (count > cursor.bytes.length - start) {
    throw fault(`it ends before ${count} more bytes that are due`, start, cursor.bytes.length - start)
  }
  cursor.at = start + count
  return start
}

/** An unsigned integer of 1, 2 or 4 bytes, big-endian as msgpack has it. */
function takeLength(cursor: Cursor, width: 1 | 2 | 4): number {
  const start = take(cursor, width)
  return width === 1
    ? cursor.view.getUint8(start)
    : width === 2
    ? cursor.view.getUint16(start)
    : cursor.view.getUint32(start)
}

/** Checks one value; the items of a container are left to the loop over the stack. */
function scanItem(cursor: Cursor, stack: Open[]): void {
  const start = take(cursor, 1)
  const byte = cursor.bytes[start]
  if (byte < 0x80 || byte >= 0xe0) return
  if (byte < 0x90) open(cursor, stack, byte & 0x0f, true, start)
  else if (byte < 0xa0) open(cursor, stack, byte & 0x0f, false, start)
  else if (byte < 0xc0) scanText(cursor, byte & 0x1f)
  else if (byte < 0xd9) scanScalar(cursor, byte, start)
  else scanLong(cursor, stack, byte, start)
}

/** The types 0xc0 to 0xd8: nil, bool, bin, numbers, and what is not allowed. */
function scanScalar(cursor: Cursor, byte: number, start: number): void {
  switch (byte) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return
    case 0xc4:
      take(cursor, takeLength(cursor, 1))
      return
    case 0xc5:
      take(cursor, takeLength(cursor, 2))
      return
    case 0xc6:
      take(cursor, takeLength(cursor, 4))
      return
    case 0xcb:
      take(cursor, 8)
      return
    case 0xcc:
    case 0xd0:
      take(cursor, 1)
      return
    case 0xcd:
    case 0xd1:
      take(cursor, 2)
      return
    case 0xce:
    case 0xd2:
      take(cursor, 4)
      return
    case 0xcf:
    case 0xd3:
      scanLongInteger(cursor, byte === 0xd3)
      return
    default:
      throw forbidden(byte, start)
  }
}

/** The types 0xd9 to 0xdf: text, arrays and maps whose length has bytes of its own. */
function scanLong(cursor: Cursor, stack: Open[], byte: number, start: number): void {
  switch (byte) {
    case 0xd9:
      scanText(cursor, takeLength(cursor, 1))
      return
    case 0xda:
      scanText(cursor, takeLength(cursor, 2))
      return
    case 0xdb:
      scanText(cursor, takeLength(cursor, 4))
      return
    default:
      open(cursor, stack, takeLength(cursor, byte % 2 === 0 ? 2 : 4), byte >= 0xde, start)
  }
}

function forbidden(byte: number, start: number): UntrustedInputError {
  switch (byte) {
    case 0xca:
      return fault('a 32-bit float; numbers travel as integers or 64-bit floats', start, describeByte(byte))
    case 0xc1:
      return fault('the byte 0xc1 is never used', start)
    default:
      return fault('an extension type; only nil, bool, int, float64, str, bin, array and map are allowed', start,
        describeByte(byte))
  }
}

function open(cursor: Cursor, stack: Open[], count: number, isMap: boolean, start: number): void {
  if (count > MAX_ITEMS) {
    throw fault(`a container of ${count} items; at most ${MAX_ITEMS} are allowed, and bulk numbers travel as bin`,
      start, count, MAX_ITEMS)
  }
  if (stack.length >= MAX_DEPTH) throw fault(`nested deeper than ${MAX_DEPTH}`, start, stack.length + 1, MAX_DEPTH)
  cursor.items += count
  if (cursor.items > MAX_TOTAL_ITEMS) {
    throw fault(`more than ${MAX_TOTAL_ITEMS} items in all`, start, cursor.items, MAX_TOTAL_ITEMS)
  }
  stack.push({ left: isMap ? 2 * count : count, keys: isMap ? new Set() : undefined })
}

function scanText(cursor: Cursor, length: number): string {
  const start = take(cursor, length)
  try {
    return text.decode(cursor.bytes.subarray(start, start + length))
  } catch {
    throw fault('text that is not UTF-8', start)
  }
}

function scanKey(cursor: Cursor, keys: Set<string>): void {
  const start = take(cursor, 1)
  const byte = cursor.bytes[start]
  const length = byte >= 0xa0 && byte < 0xc0
    ? byte & 0x1f
    : byte === 0xd9
    ? takeLength(cursor, 1)
    : byte === 0xda
    ? takeLength(cursor, 2)
    : -1
  if (length < 0) throw fault('a key of a map must be a string', start, describeByte(byte))
  const key = scanText(cursor, length)
  if (key === FORBIDDEN_KEY) throw fault(`the key ${FORBIDDEN_KEY} is not allowed`, start)
  if (keys.has(key)) throw fault(`the key '${key.slice(0, 100)}' occurs twice`, start)
  keys.add(key)
}

function scanLongInteger(cursor: Cursor, signed: boolean): void {
  const start = take(cursor, 8)
  const value = signed ? cursor.view.getBigInt64(start) : cursor.view.getBigUint64(start)
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw fault('an integer beyond 2^53 - 1', start, value.toString())
  }
}
