/** @file Reads the operands of a pickle: nothing beyond the file, nothing across the end of a frame. */
import { refusePickle } from './refusal.js'

/** A place in a pickle. */
export interface Cursor {
  readonly bytes: Uint8Array
  readonly view: DataView
  offset: number
  /** Whether a frame is open (protocol 4 and newer), and where it ends; without one the end is that of the file. */
  framed: boolean
  frameEnd: number
}

/** A cursor at an offset, outside of any frame. */
export function cursorAt(bytes: Uint8Array, offset: number): Cursor {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset, framed: false,
    frameEnd: bytes.length }
}

/** Moves on by `length` bytes and returns where they start. */
function advance(cursor: Cursor, length: number): number {
  const { offset, framed, frameEnd, bytes } = cursor
  if (!(length <= frameEnd - offset)) {
    refusePickle(
      framed && length <= bytes.length - offset
        ? `has an operand of ${length} bytes across the end of its frame`
        : `is cut short: ${length} bytes are needed, ${bytes.length - offset} are left`,
      { offset, limit: frameEnd - offset, actual: length },
    )
  }
  cursor.offset = offset + length
  return offset
}

/** The next byte. */
export function uint8(cursor: Cursor): number {
  return cursor.view.getUint8(advance(cursor, 1))
}

/** The next two bytes, little-endian. */
export function uint16(cursor: Cursor): number {
  return cursor.view.getUint16(advance(cursor, 2), true)
}

/** The next four bytes, little-endian. */
export function uint32(cursor: Cursor): number {
  return cursor.view.getUint32(advance(cursor, 4), true)
}

/** The next four bytes, little-endian, with a sign, as the length of a long integer is written. */
export function int32(cursor: Cursor): number {
  return cursor.view.getInt32(advance(cursor, 4), true)
}
/** A length of 64 bits: too long ones are refused by whoever takes that many bytes. */
export function uint64(cursor: Cursor): number {
  return Number(cursor.view.getBigUint64(advance(cursor, 8), true))
}
/** Big-endian, alone among the operands. */
export function float64(cursor: Cursor): number {
  return cursor.view.getFloat64(advance(cursor, 8), false)
}

/** A view of the next bytes. */
export function take(cursor: Cursor, length: number): Uint8Array {
  const start = advance(cursor, length)
  return cursor.bytes.subarray(start, start + length)
}

/** Text up to the next newline, which is passed over. */
export function line(cursor: Cursor, limit: number): string {
  const end = cursor.bytes.subarray(cursor.offset, Math.min(cursor.frameEnd, cursor.offset + limit + 1)).indexOf(0x0A)
  if (end < 0) refusePickle(`has a line of text without an end in ${limit} bytes`, { offset: cursor.offset, limit })
  const text = utf8(take(cursor, end), cursor.offset)
  cursor.offset++
  return text
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Strict UTF-8: lone surrogates, which Python can write, are refused as well. */
export function utf8(bytes: Uint8Array, offset: number): string {
  try {
    return decoder.decode(bytes)
  } catch {
    return refusePickle('holds text that is not UTF-8', { offset })
  }
}

/** The next bytes as text. */
export function takeText(cursor: Cursor, length: number): string {
  const start = advance(cursor, length)
  return shortText(cursor.bytes, start, length) ?? utf8(cursor.bytes.subarray(start, start + length), start)
}

/** Up to 8 plain characters, for which the decoder takes long to start: a file can hold a million such texts. */
function shortText(bytes: Uint8Array, start: number, length: number): string | undefined {
  if (length > 8) return undefined
  let text = ''
  for (let i = start; i < start + length; i++) {
    if (bytes[i] > 0x7F) return undefined
    text += String.fromCharCode(bytes[i])
  }
  return text
}
