/** @file A strict check of the bytes of a BSON file: every length, type and key, before anything is built. */
import { UntrustedInputError } from '../../../core/errors/errors.js'

/** Element types by their byte: the nine that BSON.jl writes. */
const DOUBLE = 0x01, STRING = 0x02, DOCUMENT = 0x03, ARRAY = 0x04, BINARY = 0x05, BOOLEAN = 0x08, NULL = 0x0A,
  INT32 = 0x10, INT64 = 0x12

/** Bounds on what a BSON file may hold. */
export interface BsonLimits {
  /** Bytes of the whole file; a document cannot say more than 2^31 - 1. */
  readonly bytes: number
  /** Documents and arrays inside each other; real files have about 20 levels, long type parameters more. */
  readonly depth: number
  /** Elements in all documents and arrays together: a guard against files made of empty values. */
  readonly elements: number
  /** Bytes of one key; Julia's names are short. */
  readonly keyBytes: number
}

/** The bounds that apply unless others are given. */
export const BSON_LIMITS: BsonLimits = { bytes: 2 ** 31 - 1, depth: 500, elements: 20_000_000, keyBytes: 4096 }

function refuse(message: string, details: { offset: number, limit?: number, actual?: unknown }): never {
  throw new UntrustedInputError(`${message} (byte ${details.offset}).`, { format: 'BSON', ...details })
}

interface Frame {
  readonly start: number
  readonly end: number
  readonly isArray: boolean
}

/**
 * Checks every length, type and key of a BSON document without building anything.
 * @throws UntrustedInputError UNTRUSTED_INPUT with the offset of what is wrong
 */
export function checkBson(bytes: Uint8Array, limits: BsonLimits = BSON_LIMITS): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 5) {
    refuse(`A BSON document has at least 5 bytes; the file has ${bytes.length}`, { offset: 0, actual: bytes.length })
  }
  if (bytes.length > limits.bytes) {
    refuse(`The file has ${bytes.length} bytes, more than the ${limits.bytes} allowed`, { offset: 0,
      limit: limits.bytes, actual: bytes.length })
  }
  const declared = view.getInt32(0, true)
  if (declared !== bytes.length) {
    refuse(
      `The BSON document says it has ${declared} bytes, the file has ${bytes.length}: ` +
        'it was cut short, or it is not BSON',
      { offset: 0, limit: bytes.length, actual: declared },
    )
  }
  const stack: Frame[] = [{ start: 0, end: bytes.length, isArray: false }]
  let offset = 4
  let elements = 0
  while (stack.length > 0) {
    const frame = stack[stack.length - 1]
    if (offset >= frame.end) refuse('A document has no end mark inside its length', { offset: frame.start })
    const type = bytes[offset++]
    if (type === 0) {
      if (offset !== frame.end) {
        refuse(`A document ends before its length says (at byte ${frame.end})`, { offset: offset - 1,
          limit: frame.end })
      }
      stack.pop()
      continue
    }
    if (++elements > limits.elements) {
      refuse(`The file has more than ${limits.elements} values`, { offset, limit: limits.elements })
    }
    offset = checkKey(bytes, offset, frame, limits)
    offset = checkValue(bytes, view, type, offset, frame.end)
    if (type !== DOCUMENT && type !== ARRAY) continue
    if (stack.length >= limits.depth) {
      refuse(`Documents are nested deeper than ${limits.depth}`, { offset, limit: limits.depth })
    }
    stack.push({ start: offset, end: offset + view.getInt32(offset, true), isArray: type === ARRAY })
    offset += 4
  }
}

/** Checks one key and returns the offset behind it. Keys of arrays are ignored by BSON.jl, and by us. */
function checkKey(bytes: Uint8Array, start: number, frame: Frame, limits: BsonLimits): number {
  const end = bytes.indexOf(0, start)
  if (end < 0 || end >= frame.end) refuse('A key has no end', { offset: start })
  if (end - start > limits.keyBytes) {
    refuse(`A key has ${end - start} bytes, more than the ${limits.keyBytes} allowed`, { offset: start,
      limit: limits.keyBytes, actual: end - start })
  }
  if (frame.isArray) return end + 1
  const dollar = bytes[start] === 0x24
  if (dollar || (end - start === 9 && isProto(bytes, start))) {
    refuse(`The key ${dollar ? 'starts with $' : 'is __proto__'}, which no Julia program writes`, { offset: start })
  }
  return end + 1
}

function isProto(bytes: Uint8Array, start: number): boolean {
  const name = '__proto__'
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name.charCodeAt(i)) return false
  return true
}

/**
 * Checks that a value lies inside its document; returns where the next thing starts (for containers: their length
 * field).
 */
function checkValue(bytes: Uint8Array, view: DataView, type: number, offset: number, end: number): number {
  const inside = (needed: number): void => {
    if (needed < 0 || offset + needed >= end) {
      refuse(`A value of ${needed} bytes does not fit in its document`, { offset, limit: end - offset - 1,
        actual: needed })
    }
  }
  switch (type) {
    case NULL:
      return offset
    case BOOLEAN:
      inside(1)
      if (bytes[offset] > 1) refuse(`A boolean must be 0 or 1; got ${bytes[offset]}`, { offset, actual: bytes[offset] })
      return offset + 1
    case INT32:
      inside(4)
      return offset + 4
    case INT64:
    case DOUBLE:
      inside(8)
      return offset + 8
    case STRING: {
      inside(4)
      const length = view.getInt32(offset, true)
      if (length < 1) refuse(`A string must have a positive length; got ${length}`, { offset, actual: length })
      inside(4 + length)
      if (bytes[offset + 3 + length] !== 0) {
        refuse('A string does not end in NUL where its length says', { offset, actual: length })
      }
      return offset + 4 + length
    }
    case BINARY: {
      inside(5)
      const length = view.getInt32(offset, true)
      if (length < 0) refuse(`Binary data must not have a negative length; got ${length}`, { offset, actual: length })
      inside(5 + length)
      if (bytes[offset + 4] !== 0) {
        refuse(`Binary data has subtype ${bytes[offset + 4]}; BSON.jl writes subtype 0 only`, { offset: offset + 4,
          actual: bytes[offset + 4] })
      }
      return offset + 5 + length
    }
    case DOCUMENT:
    case ARRAY: {
      inside(5)
      const length = view.getInt32(offset, true)
      if (length < 5) refuse(`A nested document has at least 5 bytes; got ${length}`, { offset, actual: length })
      inside(length)
      return offset
    }
    default:
      return refuse(`Element type 0x${type.toString(16).padStart(2, '0')} is not one that BSON.jl writes`, {
        offset: offset - 1,
        actual: type,
      })
  }
}
