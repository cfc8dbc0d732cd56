/** @file The types of stored values, as HDF5 describes them. */
import { address, type Cursor, refuse, take, u32, u8, unsigned } from './h5-cursor.js'
import { messagesAt } from './h5-messages.js'
import type { H5Member, H5Type } from './h5-values.js'

const DEEPEST_TYPE = 60

/** A type that is stored once and shared. */
export function committedType(cursor: Cursor): H5Type {
  const version = u8(cursor)
  take(cursor, version === 1 ? 7 : 1)
  const to = address(cursor)
  if (to === undefined) refuse('A shared type has no address', cursor.offset)
  const message = messagesAt(cursor.file, to).find(each => each.type === 0x03 && !(each.flags & 2))
  if (message === undefined) refuse('A shared type is not where it should be', to)
  return readType({ file: cursor.file, offset: message.start, end: message.end }, 0)
}

/** Reads a type. @throws UntrustedInputError UNTRUSTED_INPUT for big-endian numbers, which would be read as others */
export function readType(cursor: Cursor, depth: number): H5Type {
  const at = cursor.offset
  if (depth > DEEPEST_TYPE) refuse(`Types are nested deeper than ${DEEPEST_TYPE}`, at)
  const head = u8(cursor)
  const version = head >> 4
  const bits = unsigned(cursor, 3)
  const size = u32(cursor)
  const bigEndian = (bits & 1) === 1
  switch (head & 15) {
    case 0: {
      take(cursor, 4)
      if (bigEndian) refuse('Big-endian numbers are not written by JLD2', at)
      return { kind: 'integer', size, signed: (bits & 8) !== 0 }
    }
    case 1: {
      take(cursor, 4)
      const exponentAt = u8(cursor)
      take(cursor, 7)
      if (bigEndian) refuse('Big-endian numbers are not written by JLD2', at)
      return { kind: 'float', size, bfloat: size === 2 && exponentAt === 7 }
    }
    case 2:
      take(cursor, 2)
      return { kind: 'other', size }
    case 4:
      take(cursor, 4)
      return size === 1 ? { kind: 'integer', size, signed: false } : { kind: 'other', size }
    case 5:
      take(cursor, bits & 255)
      return { kind: 'other', size }
    case 6:
      return readCompound(cursor, version, bits & 0xFFFF, size, depth)
    case 7:
      return { kind: 'reference', size }
    case 9:
      readType(cursor, depth + 1)
      return { kind: 'other', size }
    case 10: {
      const rank = u8(cursor)
      if (version < 3) take(cursor, 3)
      if (rank > 32) refuse(`An array type has ${rank} dimensions, more than 32`, at)
      const extents = Array.from({ length: rank }, () => u32(cursor))
      if (version < 3) take(cursor, 4 * rank)
      return { kind: 'array', size, extents, element: readType(cursor, depth + 1) }
    }
    default:
      return { kind: 'other', size }
  }
}

function readCompound(cursor: Cursor, version: number, count: number, size: number, depth: number): H5Type {
  const offsetBytes = version < 3 ? 4 : size < 256 ? 1 : size < 65536 ? 2 : size < 16777216 ? 3 : 4
  const members: H5Member[] = []
  for (let i = 0; i < count; i++) {
    const at = cursor.offset
    const end = cursor.file.bytes.indexOf(0, at)
    if (end < 0 || end >= cursor.end || end - at > 4096) refuse('The name of a field has no end', at)
    const name = new TextDecoder().decode(cursor.file.bytes.subarray(at, end))
    take(cursor, version < 3 ? Math.ceil((end - at + 1) / 8) * 8 : end - at + 1)
    const offset = unsigned(cursor, offsetBytes)
    if (version === 1) take(cursor, 28)
    const type = readType(cursor, depth + 1)
    if (offset + type.size > size) refuse(`The field '${name}' lies outside of its record`, at)
    members.push({ name, offset, type })
  }
  return { kind: 'compound', size, members }
}
