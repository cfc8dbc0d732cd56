/** @file The central directory of a zip archive: what it says of each entry. */
import type { EndRecord } from './end-record.js'
import { comparable, entryName } from './entry-name.js'
import { refuseZip, unsupportedZip } from './refusal.js'

/** An entry as the central directory describes it. */
export interface DirectoryEntry {
  readonly name: string
  readonly nameBytes: Uint8Array
  readonly flags: number
  readonly method: number
  readonly crc: number
  /** Bytes in the archive, and unpacked. */
  readonly packedSize: number
  readonly size: number
  /** Where its local header is. */
  readonly header: number
}

/** The method of an entry that is not compressed. */
const STORED = 0

/** The method of an entry that is compressed. */
export const DEFLATED = 8

/** Bit 3 of the flags: sizes and checksum follow the data. */
export const HAS_DESCRIPTOR = 0x0008
const IS_UTF8 = 0x0800
/** How well deflate tried: no meaning for a reader. */
const DEFLATE_HINTS = 0x0006
const ENCRYPTED = 0x2041

const CENTRAL_HEADER = 0x02014B50
const HEADER_BYTES = 46

/** Kinds of file in the Unix mode of an entry. */
const MODE_KIND = 0o170000
const REGULAR = 0o100000
const FOLDER = 0o040000
const LINK = 0o120000
/** DOS attributes of folders and volume labels. */
const DOS_FOLDER = 0x18

const METHODS: Readonly<Record<number, string>> = { 1: 'shrink', 6: 'implode', 9: 'deflate64', 12: 'bzip2', 14: 'LZMA',
  93: 'zstd', 95: 'xz', 99: 'AES encryption' }

/**
 * Reads the central directory.
 * @throws UntrustedInputError for counts that lie, names that are not unique, encrypted and linked entries, methods
 * other than stored and deflated
 */
export function readDirectory(bytes: Uint8Array, view: DataView, { start, end, entries }: EndRecord,
  mostEntries: number): DirectoryEntry[] {
  if (entries > mostEntries) {
    refuseZip(`says it has ${entries} entries, more than the ${mostEntries} allowed`, { limit: mostEntries,
      actual: entries })
  }
  if (entries * HEADER_BYTES > end - start) {
    refuseZip(`says it has ${entries} entries, but its directory has only ${end - start} bytes`, { offset: start,
      actual: entries })
  }
  const found: DirectoryEntry[] = []
  const names = new Map<string, string>()
  let at = start
  for (let i = 0; i < entries; i++) {
    if (at + HEADER_BYTES > end || view.getUint32(at, true) !== CENTRAL_HEADER) {
      refuseZip(`says it has ${entries} entries; its directory holds ${i}`, { offset: at, limit: entries, actual: i })
    }
    const next = at + HEADER_BYTES + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) +
      view.getUint16(at + 32, true)
    if (next > end) {
      refuseZip('has an entry that reaches beyond the directory', { offset: at, limit: end, actual: next })
    }
    const entry = readEntry(bytes, view, at)
    const key = comparable(entry.name)
    const other = names.get(key)
    if (other !== undefined) {
      refuseZip(
        `has two entries for one name: ${JSON.stringify(other.slice(0, 100))} and ${
          JSON.stringify(entry.name.slice(0, 100))
        }`,
        { offset: at, path: entry.name },
      )
    }
    names.set(key, entry.name)
    found.push(entry)
    at = next
  }
  if (at !== end) {
    refuseZip(`says it has ${entries} entries, but its directory holds more`, { offset: at, limit: entries })
  }
  return found
}

function readEntry(bytes: Uint8Array, view: DataView, at: number): DirectoryEntry {
  const flags = view.getUint16(at + 8, true)
  const method = view.getUint16(at + 10, true)
  const nameBytes = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + view.getUint16(at + 28, true))
  const name = entryName(nameBytes, (flags & IS_UTF8) !== 0, at)
  checkKind(view.getUint32(at + 38, true), name, at)
  checkFlags(flags, method, name, at)
  const sizes = readSizes(view, at, nameBytes.length)
  const { packedSize, size } = sizes
  if (method === STORED && packedSize !== size) {
    refuseZip(`stores the entry '${name}' as it is, but with two sizes: ${packedSize} and ${size}`, { offset: at,
      path: name, limit: packedSize, actual: size })
  }
  if (name.endsWith('/') && size !== 0) {
    refuseZip(`has a folder '${name}' with ${size} bytes`, { offset: at, path: name, actual: size })
  }
  return { name, nameBytes, flags, method, crc: view.getUint32(at + 16, true), ...sizes }
}

/** Attributes of an entry: those of DOS below, the Unix mode above. */
function checkKind(attributes: number, name: string, offset: number): void {
  // miniz, with which PyTorch reads, takes an entry with this mark for a folder and leaves its bytes unread.
  if ((attributes & DOS_FOLDER) !== 0 && !name.endsWith('/')) {
    refuseZip(`has the entry '${name}' with the mark of a folder or a volume`, { offset, path: name })
  }
  const kind = (attributes >>> 16) & MODE_KIND
  if (kind === 0 || kind === (name.endsWith('/') ? FOLDER : REGULAR)) return
  refuseZip(`has the entry '${name}', which is ${kind === LINK ? 'a symbolic link' : 'not a plain file'}`, { offset,
    path: name, actual: kind })
}

function checkFlags(flags: number, method: number, name: string, offset: number): void {
  if ((flags & ENCRYPTED) !== 0) {
    unsupportedZip(`is encrypted (entry '${name}'): unpack it and save the model again without a password`, { offset,
      path: name })
  }
  const known = HAS_DESCRIPTOR | IS_UTF8 | (method === DEFLATED ? DEFLATE_HINTS : 0)
  if ((flags & ~known) !== 0) {
    refuseZip(`has the entry '${name}' with the flags 0x${flags.toString(16)}, which no library that saves models sets`,
      { offset, path: name, actual: flags })
  }
  if (method === STORED || method === DEFLATED) return
  unsupportedZip(
    `packs the entry '${name}' with ${METHODS[method] ?? `method ${method}`}: stored and deflated entries can be read`,
    { offset, path: name, actual: method },
  )
}

/** Sizes and the place of the local header, from the 64-bit extra field where the short ones say so. */
function readSizes(view: DataView, at: number,
  nameLength: number): Pick<DirectoryEntry, 'packedSize' | 'size' | 'header'> {
  const short = { size: view.getUint32(at + 24, true), packedSize: view.getUint32(at + 20, true),
    header: view.getUint32(at + 42, true) }
  const disk = view.getUint16(at + 34, true)
  const extra = at + HEADER_BYTES + nameLength
  const long = longNumbers(view, extra, extra + view.getUint16(at + 30, true))
  let used = 0
  const number = (value: number): number => {
    if (value !== 0xFFFFFFFF) return value
    if (long === undefined || used >= long.length) {
      refuseZip('has a size or place of 2^32 - 1 without the 64-bit field that it stands for', { offset: at })
    }
    return long[used++]
  }
  // The order in the field is fixed: unpacked size, packed size, place of the header.
  const size = number(short.size)
  const packedSize = number(short.packedSize)
  const header = number(short.header)
  if (long !== undefined && used !== long.length) refuseZip('has 64-bit sizes beside short ones', { offset: at })
  if (disk !== 0) refuseZip('is one part of several disks', { offset: at + 34, actual: disk })
  return { size, packedSize, header }
}

const ZIP64 = 0x0001

/** The 64-bit numbers of an extra field, or undefined when it has none. */
export function longNumbers(view: DataView, start: number, end: number): number[] | undefined {
  let found: number[] | undefined
  let at = start
  while (at < end) {
    if (at + 4 > end) refuseZip('has an extra field that is cut short', { offset: at })
    const [id, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)]
    if (at + 4 + length > end) {
      refuseZip('has an extra field that reaches beyond its header', { offset: at, limit: end,
        actual: at + 4 + length })
    }
    if (id === ZIP64) {
      if (found !== undefined || length % 8 !== 0) refuseZip('has 64-bit sizes twice, or cut short', { offset: at })
      found = []
      for (let k = 0; k < length; k += 8) {
        const value = Number(view.getBigUint64(at + 4 + k, true))
        if (!Number.isSafeInteger(value)) {
          refuseZip(`holds the number ${value}, beyond 2^53`, { offset: at + 4 + k, actual: value })
        }
        found.push(value)
      }
    }
    at += 4 + length
  }
  return found
}
