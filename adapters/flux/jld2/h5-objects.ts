/** @file Objects of an HDF5 file: groups and datasets. */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { address, type Cursor, type Jld2File, MOST_ENTRIES, refuse, take, u16, u8, unsigned } from './h5-cursor.js'
import { type Message, messagesAt } from './h5-messages.js'
import { committedType, readType } from './h5-types.js'
import type { H5Object, H5Type } from './h5-values.js'

/** Reads the object at an offset in the file. */
export function objectAt(file: Jld2File, at: number): H5Object {
  const links = new Map<string, number>()
  let type: H5Type | undefined
  let extents: number[] | undefined
  let layout: Message | undefined
  let filtered = false
  for (const message of messagesAt(file, at)) {
    const cursor: Cursor = { file, offset: message.start, end: message.end }
    if (message.type === 0x06) readLink(cursor, links)
    else if (message.type === 0x01) extents = readExtents(cursor)
    else if (message.type === 0x03) type = message.flags & 2 ? committedType(cursor) : readType(cursor, 0)
    else if (message.type === 0x08) layout = message
    else if (message.type === 0x0B) filtered = true
  }
  if (type === undefined || extents === undefined || layout === undefined) return { links, dataset: undefined }
  const count = extents.reduce((a, b) => a * b, 1)
  return { links,
    dataset: { type, extents,
      bytes: readLayout({ file, offset: layout.start, end: layout.end }, count * type.size, filtered) } }
}

/** A link of a group: only those to objects of this file. */
function readLink(cursor: Cursor, links: Map<string, number>): void {
  const version = u8(cursor)
  const flags = u8(cursor)
  const kind = flags & 8 ? u8(cursor) : 0
  if (flags & 4) take(cursor, 8)
  if (flags & 16) take(cursor, 1)
  const length = unsigned(cursor, 1 << (flags & 3))
  const at = take(cursor, length)
  if (version !== 1 || length > 4096) refuse('A link is malformed', at)
  const name = new TextDecoder().decode(cursor.file.bytes.subarray(at, at + length))
  if (kind !== 0) return
  const to = address(cursor)
  if (to !== undefined) links.set(name, to)
  if (links.size > MOST_ENTRIES) refuse(`A group has more than ${MOST_ENTRIES} links`, at)
}

function readExtents(cursor: Cursor): number[] {
  const at = cursor.offset
  const version = u8(cursor)
  const rank = u8(cursor)
  take(cursor, 1)
  if (version === 2) {
    if (u8(cursor) === 2) return [0]
  } else if (version === 1) take(cursor, 5)
  else refuse(`A data space has version ${version}; 1 or 2 was expected`, at)
  if (rank > 32) refuse(`An array has ${rank} dimensions, more than 32`, at)
  const extents = Array.from({ length: rank }, () => unsigned(cursor, 8))
  if (extents.reduce((a, b) => a * b, 1) > Number.MAX_SAFE_INTEGER) {
    refuse('An array says it has more than 2^53 elements', at)
  }
  return extents
}

function readLayout(cursor: Cursor, needed: number, filtered: boolean): Uint8Array {
  const { file } = cursor
  const at = cursor.offset
  const version = u8(cursor)
  const kind = u8(cursor)
  if (version !== 3 && version !== 4) refuse(`A data layout has version ${version}; 3 or 4 was expected`, at)
  if (kind === 2 || filtered) {
    throw new UntrustedInputError(
      'An array of the JLD2 file is compressed or chunked, which is not supported: save it without compress = true.',
      { format: 'JLD2', offset: at },
      'UNSUPPORTED_FORMAT',
    )
  }
  if (kind === 0) {
    const size = u16(cursor)
    const start = take(cursor, size)
    if (size < needed) refuse(`An array needs ${needed} bytes; ${size} are stored`, start)
    return file.bytes.subarray(start, start + needed)
  }
  const start = address(cursor)
  const size = unsigned(cursor, 8)
  // Memory that was never written has no address; only an array without elements may be so.
  if (start === undefined) {
    return needed === 0
      ? new Uint8Array(0)
      : refuse(`An array of ${needed} bytes has no data`, at)
  }
  if (size < needed || start + needed > file.bytes.length) {
    refuse(`An array needs ${needed} bytes; ${Math.min(size, file.bytes.length - start)} are stored`, at)
  }
  return file.bytes.subarray(start, start + needed)
}
