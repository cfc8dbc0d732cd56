/** @file Numbers and addresses of an HDF5 file, read at a place that must not pass its end. */
import { UntrustedInputError } from '../../../core/errors/errors.js'

/** An open JLD2 file. */
export interface Jld2File {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where the superblock is: all addresses count from it. */
  readonly base: number
  /** Address of the root group. */
  readonly root: number
}

/** Links of one group, messages of one object, members of one compound. */
export const MOST_ENTRIES = 100_000

const UNDEFINED_ADDRESS = 0xFFFFFFFFFFFFFFFFn

/** Refuses the file with the offset of what is wrong. @throws UntrustedInputError UNTRUSTED_INPUT */
export function refuse(message: string, offset: number): never {
  throw new UntrustedInputError(`${message} (byte ${offset}).`, { format: 'JLD2', offset })
}

/** A place in the file with an end that must not be passed. */
export interface Cursor {
  readonly file: Jld2File
  offset: number
  readonly end: number
}

/** Moves on by `count` bytes and returns where they start. @throws UntrustedInputError UNTRUSTED_INPUT past the end */
export function take(cursor: Cursor, count: number): number {
  const at = cursor.offset
  if (count < 0 || at + count > cursor.end) {
    refuse(`${count} bytes are needed where ${Math.max(0, cursor.end - at)} are left`, at)
  }
  cursor.offset = at + count
  return at
}

/** The next byte. */
export const u8 = (cursor: Cursor): number => cursor.file.view.getUint8(take(cursor, 1))

/** The next two bytes, little-endian: read the other way round, sizes would be wrong numbers and not an error. */
export const u16 = (cursor: Cursor): number => cursor.file.view.getUint16(take(cursor, 2), true)

/** The next four bytes, little-endian. */
export const u32 = (cursor: Cursor): number => cursor.file.view.getUint32(take(cursor, 4), true)

/** An unsigned integer of 1 to 8 bytes. */
export function unsigned(cursor: Cursor, size: number): number {
  const at = take(cursor, size)
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = value * 256 + cursor.file.bytes[at + i]
  if (value > Number.MAX_SAFE_INTEGER) refuse('A number is larger than 2^53', at)
  return value
}

/** An address as an offset in the file, or undefined for the mark of an absent one. */
export function address(cursor: Cursor): number | undefined {
  const { file } = cursor
  const at = take(cursor, 8)
  const value = file.view.getBigUint64(at, true)
  if (value === UNDEFINED_ADDRESS) return undefined
  if (value >= BigInt(file.bytes.length - file.base)) refuse(`An address (${value}) lies outside of the file`, at)
  return file.base + Number(value)
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
