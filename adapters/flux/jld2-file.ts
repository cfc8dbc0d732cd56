/**
 * @file The HDF5 inside a JLD2 file, as far as JLD2.jl writes it.
 *
 * JLD2 keeps the arrays of a network as objects without a name, reachable only by references inside of compound values.
 * The HDF5 libraries for JavaScript find objects by name, so this is a small reader of our own: superblock 2 or 3,
 * object headers of version 2, links in the header, contiguous or compact data. Sizes and offsets follow the HDF5 file
 * format specification, version 3. Nothing is written and nothing outside of the given bytes is read.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'

/** A type of stored values. */
export type H5Type =
  | { readonly kind: 'integer', readonly size: number, readonly signed: boolean }
  | { readonly kind: 'float', readonly size: number, readonly bfloat: boolean }
  | { readonly kind: 'compound', readonly size: number, readonly members: readonly H5Member[] }
  | { readonly kind: 'reference', readonly size: number }
  | { readonly kind: 'array', readonly size: number, readonly extents: readonly number[], readonly element: H5Type }
  | { readonly kind: 'other', readonly size: number }

export interface H5Member {
  readonly name: string
  readonly offset: number
  readonly type: H5Type
}

/** A stored value: its type, its extents (the reverse of Julia's) and its bytes. */
export interface H5Dataset {
  readonly type: H5Type
  readonly extents: readonly number[]
  readonly bytes: Uint8Array
}

/** An object of the file: a group of named links, a dataset, or something else (a committed type). */
export interface H5Object {
  readonly links: ReadonlyMap<string, number>
  readonly dataset: H5Dataset | undefined
}

export interface Jld2File {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where the superblock is: all addresses count from it. */
  readonly base: number
  /** Address of the root group. */
  readonly root: number
}

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
/** Links of one group, messages of one object, members of one compound. */
const MOST_ENTRIES = 100_000
const DEEPEST_TYPE = 60
const UNDEFINED_ADDRESS = 0xFFFFFFFFFFFFFFFFn

function refuse(message: string, offset: number): never {
  throw new UntrustedInputError(`${message} (byte ${offset}).`, { format: 'JLD2', offset })
}

/** A place in the file with an end that must not be passed. */
interface Cursor {
  readonly file: Jld2File
  offset: number
  readonly end: number
}

function take(cursor: Cursor, count: number): number {
  const at = cursor.offset
  if (count < 0 || at + count > cursor.end) {
    refuse(`${count} bytes are needed where ${Math.max(0, cursor.end - at)} are left`, at)
  }
  cursor.offset = at + count
  return at
}

const u8 = (cursor: Cursor): number => cursor.file.view.getUint8(take(cursor, 1))
const u16 = (cursor: Cursor): number => cursor.file.view.getUint16(take(cursor, 2), true)
const u32 = (cursor: Cursor): number => cursor.file.view.getUint32(take(cursor, 4), true)

/** An unsigned integer of 1 to 8 bytes. */
function unsigned(cursor: Cursor, size: number): number {
  const at = take(cursor, size)
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = value * 256 + cursor.file.bytes[at + i]
  if (value > Number.MAX_SAFE_INTEGER) refuse('A number is larger than 2^53', at)
  return value
}

/** An address as an offset in the file, or undefined for the mark of an absent one. */
function address(cursor: Cursor): number | undefined {
  const { file } = cursor
  const at = take(cursor, 8)
  const value = file.view.getBigUint64(at, true)
  if (value === UNDEFINED_ADDRESS) return undefined
  if (value >= BigInt(file.bytes.length - file.base)) refuse(`An address (${value}) lies outside of the file`, at)
  return file.base + Number(value)
}

/** Whether the bytes are those of a file that JLD2.jl wrote: its words, or the HDF5 signature behind its header of 512 bytes. */
export function isJld2(bytes: Uint8Array): boolean {
  return signatureAt(bytes, 512) && String.fromCharCode(...bytes.subarray(0, 23)) === 'HDF5-based Julia Data F'
}

function signatureAt(bytes: Uint8Array, offset: number): boolean {
  return SIGNATURE.every((byte, i) => bytes[offset + i] === byte)
}

/**
 * Opens a JLD2 file.
 * @throws UntrustedInputError UNTRUSTED_INPUT when the bytes are damaged; UNSUPPORTED_FORMAT for other kinds of HDF5
 */
export function openJld2(bytes: Uint8Array): Jld2File {
  const base = signatureAt(bytes, 512) ? 512 : signatureAt(bytes, 0) ? 0 : -1
  if (base < 0) {
    throw new UntrustedInputError('The file is not a JLD2 file: there is no HDF5 signature at byte 512 (or 0).', {
      format: 'JLD2',
      offset: 512,
    }, 'UNSUPPORTED_FORMAT')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const cursor: Cursor = { file: { bytes, view, base, root: 0 }, offset: base + 8, end: bytes.length }
  const version = u8(cursor)
  const offsets = u8(cursor)
  const lengths = u8(cursor)
  if ((version !== 2 && version !== 3) || offsets !== 8 || lengths !== 8) {
    throw new UntrustedInputError(
      `The file is HDF5, but not as JLD2 writes it (superblock version ${version}; 2 or 3 was expected).`,
      { format: 'JLD2', offset: base + 8 },
      'UNSUPPORTED_FORMAT',
    )
  }
  take(cursor, 1)
  const declared = unsigned(cursor, 8)
  if (declared !== base) {
    refuse(`The superblock says that addresses count from ${declared}; it is at ${base}`, base + 12)
  }
  take(cursor, 16)
  const root = address(cursor)
  if (root === undefined) refuse('The file has no root group', base + 36)
  return { bytes, view, base, root }
}

interface Message {
  readonly type: number
  readonly flags: number
  readonly start: number
  readonly end: number
}

/** The messages of an object header, with those of its continuation blocks. */
function messagesAt(file: Jld2File, at: number): Message[] {
  const cursor: Cursor = { file, offset: at, end: file.bytes.length }
  if (String.fromCharCode(...file.bytes.subarray(at, at + 4)) !== 'OHDR') refuse('An object header was expected', at)
  take(cursor, 4)
  const version = u8(cursor)
  if (version !== 2) refuse(`An object header has version ${version}; JLD2 writes 2`, at + 4)
  const flags = u8(cursor)
  if (flags & 32) take(cursor, 16)
  if (flags & 16) take(cursor, 4)
  const size = unsigned(cursor, 1 << (flags & 3))
  const start = take(cursor, size)
  const messages: Message[] = []
  const blocks = [{ start, end: start + size }]
  for (let i = 0; i < blocks.length; i++) {
    if (i > 1000) refuse('An object header has more than 1000 blocks', at)
    readMessages(file, blocks[i], (flags & 4) !== 0, messages, blocks)
  }
  return messages
}

function readMessages(file: Jld2File, block: { start: number, end: number }, ordered: boolean, messages: Message[],
  blocks: { start: number, end: number }[]): void {
  const cursor: Cursor = { file, offset: block.start, end: block.end }
  const head = ordered ? 6 : 4
  // Fewer bytes than a message's head are a gap.
  while (cursor.end - cursor.offset >= head) {
    const type = u8(cursor)
    const size = u16(cursor)
    const flags = u8(cursor)
    if (ordered) take(cursor, 2)
    const start = take(cursor, size)
    if (messages.length > MOST_ENTRIES) refuse(`An object has more than ${MOST_ENTRIES} messages`, start)
    if (type !== 0x10) {
      messages.push({ type, flags, start, end: start + size })
      continue
    }
    const inner: Cursor = { file, offset: start, end: start + size }
    const to = address(inner)
    const length = unsigned(inner, 8)
    if (to === undefined || length < 8 || to + length > file.bytes.length ||
      String.fromCharCode(...file.bytes.subarray(to, to + 4)) !== 'OCHK') {
      refuse('A continuation of an object header is not where it should be', start)
    }
    blocks.push({ start: to + 4, end: to + length - 4 })
  }
}

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

/** A type that is stored once and shared. */
function committedType(cursor: Cursor): H5Type {
  const version = u8(cursor)
  take(cursor, version === 1 ? 7 : 1)
  const to = address(cursor)
  if (to === undefined) refuse('A shared type has no address', cursor.offset)
  const message = messagesAt(cursor.file, to).find(each => each.type === 0x03 && !(each.flags & 2))
  if (message === undefined) refuse('A shared type is not where it should be', to)
  return readType({ file: cursor.file, offset: message.start, end: message.end }, 0)
}

function readType(cursor: Cursor, depth: number): H5Type {
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

/** The target of a reference: an offset in the file, or undefined when it points nowhere. */
export function referenceTarget(file: Jld2File, bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = bytes.length >= 8 ? view.getBigUint64(0, true) : 0n
  if (value === 0n || value === UNDEFINED_ADDRESS) return undefined
  if (value >= BigInt(file.bytes.length - file.base)) {
    refuse(`A reference (${value}) points outside of the file`, bytes.byteOffset - file.bytes.byteOffset)
  }
  return file.base + Number(value)
}
