/**
 * @file A strict JSON reader over bytes, field by field.
 *
 * `JSON.parse` keeps the last of two equal keys and builds what it is given; a header of a stranger is read here in one
 * pass instead, with every key seen, no recursion beyond a bound and nothing stored that was not asked for.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'

/** Where reading is; `end` is behind the last byte. */
export interface JsonCursor {
  readonly bytes: Uint8Array
  readonly end: number
  readonly format: string
  offset: number
}

const DEEPEST = 64
const LONGEST_STRING = 1 << 20
const MOST_FIELDS = 1_000_000
const [QUOTE, BACKSLASH, COMMA, COLON, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, SPACE] = [0x22, 0x5c, 0x2c, 0x3a, 0x7b, 0x7d,
  0x5b, 0x5d, 0x20]
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A refusal at the cursor. */
export function malformed(cursor: JsonCursor, message: string, path?: string, actual?: unknown): UntrustedInputError {
  return new UntrustedInputError(`${message} (offset ${cursor.offset}).`, { format: cursor.format,
    offset: cursor.offset, ...(path === undefined ? {} : { path: path.slice(0, 200) }),
    ...(actual === undefined ? {} : { actual }) })
}

/** Moves over white space. */
export function skipSpace(cursor: JsonCursor): void {
  const { bytes, end } = cursor
  let { offset } = cursor
  while (offset < end &&
    (bytes[offset] === SPACE || bytes[offset] === 0x0a || bytes[offset] === 0x0d || bytes[offset] === 0x09)) offset++
  cursor.offset = offset
}

/** The next byte that is not white space; -1 at the end. */
function peek(cursor: JsonCursor): number {
  skipSpace(cursor)
  return cursor.offset < cursor.end ? cursor.bytes[cursor.offset] : -1
}

function take(cursor: JsonCursor, byte: number, what: string): void {
  if (peek(cursor) !== byte) throw malformed(cursor, `The JSON is malformed: expected ${what}`)
  cursor.offset++
}

/** A string. @throws UntrustedInputError when it is not one, not UTF-8, or too long */
export function readString(cursor: JsonCursor, what: string): string {
  take(cursor, QUOTE, `${what} (text in quotes)`)
  const { bytes, end } = cursor
  const start = cursor.offset
  let offset = start
  let escaped = false
  let plain = true
  while (offset < end && bytes[offset] !== QUOTE) {
    if (bytes[offset] === BACKSLASH) {
      escaped = true
      offset++
    }
    plain &&= bytes[offset] >= SPACE && bytes[offset] < 0x7f
    offset++
  }
  if (offset >= end) throw malformed(cursor, 'The JSON is malformed: a text has no end')
  if (offset - start > LONGEST_STRING) {
    throw malformed(cursor, `The JSON has a text of more than ${LONGEST_STRING} bytes`)
  }
  cursor.offset = offset + 1
  // Names and words are short and plain: a decoder for each would cost more than the rest of a header.
  if (plain && !escaped && offset - start <= 256) return String.fromCharCode(...bytes.subarray(start, offset))
  let text: string
  try {
    text = utf8.decode(bytes.subarray(start, offset))
  } catch {
    throw malformed(cursor, 'The JSON is not UTF-8')
  }
  if (!escaped && !hasControl(text)) return text
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    throw malformed(cursor, 'The JSON is malformed: a text has a wrong escape or a control character')
  }
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20) return true
  return false
}

/** A non-negative integer below 2^53, written in digits. @throws UntrustedInputError for every other number */
function readCount(cursor: JsonCursor, what: string): number {
  peek(cursor)
  const { bytes, end } = cursor
  const start = cursor.offset
  let { offset } = cursor
  while (offset < end && offset - start < 32 && isNumberByte(bytes[offset])) offset++
  let value = offset === start || (bytes[start] === 0x30 && offset > start + 1) ? NaN : 0
  for (let i = start; i < offset; i++) {
    value = bytes[i] >= 0x30 && bytes[i] <= 0x39
      ? value * 10 + (bytes[i] - 0x30)
      : NaN
  }
  if (!Number.isSafeInteger(value)) {
    const text = String.fromCharCode(...bytes.subarray(start, offset))
    throw malformed(cursor,
      `${what} must be an integer from 0 to 2^53 - 1; got ${text === '' ? 'something else' : text}`, undefined, text)
  }
  cursor.offset = offset
  return value
}

/** Digits, signs, the point and the letters of an exponent. */
function isNumberByte(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x45 ||
    byte === 0x65
}

/** A list of at most `most` non-negative integers. */
export function readCounts(cursor: JsonCursor, what: string, most: number): number[] {
  const values: number[] = []
  readList(cursor, what, () => {
    if (values.length >= most) throw malformed(cursor, `${what} has more than ${most} numbers`)
    values.push(readCount(cursor, what))
  })
  return values
}

function readList(cursor: JsonCursor, what: string, item: () => void): void {
  take(cursor, OPEN_LIST, `${what} (a list)`)
  if (peek(cursor) === CLOSE_LIST) {
    cursor.offset++
    return
  }
  for (;;) {
    item()
    const next = peek(cursor)
    cursor.offset++
    if (next === CLOSE_LIST) return
    if (next !== COMMA) {
      cursor.offset--
      throw malformed(cursor, 'The JSON is malformed: expected , or ] in a list')
    }
  }
}

/**
 * An object; `field` reads the value of every key and must move the cursor behind it.
 * @throws UntrustedInputError for a key that occurs twice
 */
export function readObject(cursor: JsonCursor, what: string, field: (key: string) => void): void {
  take(cursor, OPEN, `${what} (an object)`)
  const seen = new Set<string>()
  if (peek(cursor) === CLOSE) {
    cursor.offset++
    return
  }
  for (;;) {
    const key = readString(cursor, 'a key')
    if (seen.has(key)) throw malformed(cursor, `${what} has the key '${key.slice(0, 100)}' twice`, key)
    seen.add(key)
    if (seen.size > MOST_FIELDS) throw malformed(cursor, `${what} has more than ${MOST_FIELDS} keys`)
    take(cursor, COLON, 'a colon')
    field(key)
    const next = peek(cursor)
    cursor.offset++
    if (next === CLOSE) return
    if (next !== COMMA) {
      cursor.offset--
      throw malformed(cursor, 'The JSON is malformed: expected , or } in an object')
    }
  }
}

/** Moves over a value of any kind. @throws UntrustedInputError when it is nested too deep */
export function skipValue(cursor: JsonCursor, depth = 0): void {
  if (depth > DEEPEST) throw malformed(cursor, `The JSON is nested more than ${DEEPEST} deep`)
  switch (peek(cursor)) {
    case QUOTE:
      readString(cursor, 'a text')
      return
    case OPEN:
      readObject(cursor, 'an object', () => {
        skipValue(cursor, depth + 1)
      })
      return
    case OPEN_LIST:
      readList(cursor, 'a list', () => {
        skipValue(cursor, depth + 1)
      })
      return
    default:
      skipWord(cursor)
  }
}

function skipWord(cursor: JsonCursor): void {
  const { bytes, end } = cursor
  const start = cursor.offset
  let offset = start
  while (offset < end && offset - start < 400 &&
    (isNumberByte(bytes[offset]) || (bytes[offset] >= 0x61 && bytes[offset] <= 0x7a))) offset++
  const text = String.fromCharCode(...bytes.subarray(start, offset))
  if (!/^(true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)$/.test(text)) {
    throw malformed(cursor, 'The JSON is malformed: expected a value')
  }
  cursor.offset = offset
}

/** Whether the next value is a text. */
export function isString(cursor: JsonCursor): boolean {
  return peek(cursor) === QUOTE
}
