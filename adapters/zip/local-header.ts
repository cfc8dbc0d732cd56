/**
 * @file Local headers of a zip archive: each must repeat what the central directory says, and the entries must lie one
 * behind the other.
 */
import { type DirectoryEntry, HAS_DESCRIPTOR, longNumbers } from './directory.js'
import { refuseZip } from './refusal.js'

const LOCAL_HEADER = 0x04034B50
const DESCRIPTOR = 0x08074B50
const HEADER_BYTES = 30

/** An entry and where its bytes are. */
export interface PlacedEntry extends DirectoryEntry {
  readonly start: number
}

/**
 * Compares every local header with the directory. From the first byte of the file to the directory there is nothing but
 * the entries, in any order, without gaps or overlaps: an archive inside another, a program in front of it, or two
 * entries on the same bytes cannot be.
 * @param directory offset of the central directory
 * @throws UntrustedInputError
 */
export function placeEntries(bytes: Uint8Array, view: DataView, entries: readonly DirectoryEntry[],
  directory: number): PlacedEntry[] {
  const inOrder = [...entries].sort((a, b) => a.header - b.header)
  let expected = 0
  return inOrder.map((entry, i) => {
    if (entry.header !== expected) {
      refuseZip(
        entry.header < expected
          ? `has overlapping entries (at '${entry.name}')`
          : `has ${entry.header - expected} bytes that belong to no entry`,
        { offset: Math.min(entry.header, expected), limit: expected, actual: entry.header, path: entry.name },
      )
    }
    const start = checkHeader(bytes, view, entry, directory)
    const next = inOrder[i + 1]?.header ?? directory
    checkEnd(view, entry, start + entry.packedSize, next)
    expected = next
    return { ...entry, start }
  })
}

/** Compares a local header with the directory; returns where the data start. */
function checkHeader(bytes: Uint8Array, view: DataView, entry: DirectoryEntry, limit: number): number {
  const { header: at, name } = entry
  const disagrees = (what: string): never =>
    refuseZip(`says two things of the entry '${name}': its ${what} in the directory and before the data differ`, {
      offset: at,
      path: name,
    })
  if (at + HEADER_BYTES > limit || view.getUint32(at, true) !== LOCAL_HEADER) {
    refuseZip(`has no entry where its directory says (for '${name}')`, { offset: at, limit, path: name })
  }
  const nameEnd = at + HEADER_BYTES + view.getUint16(at + 26, true)
  const start = nameEnd + view.getUint16(at + 28, true)
  if (start + entry.packedSize > limit) {
    refuseZip(`says the entry '${name}' has ${entry.packedSize} bytes, beyond the archive`, { offset: at, limit,
      actual: start + entry.packedSize, path: name })
  }
  if (view.getUint16(at + 6, true) !== entry.flags) disagrees('flags')
  if (view.getUint16(at + 8, true) !== entry.method) disagrees('method')
  if (!sameBytes(entry.nameBytes, bytes, at + HEADER_BYTES, nameEnd)) disagrees('name')
  checkSizes(view, entry, nameEnd, start, disagrees)
  return start
}

function sameBytes(expected: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== expected.length) return false
  for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false
  return true
}

function checkSizes(view: DataView, { header: at, flags, crc, packedSize, size }: DirectoryEntry, extra: number,
  extraEnd: number, disagrees: (what: string) => never): void {
  const long = longNumbers(view, extra, extraEnd)
  const stored = { crc: view.getUint32(at + 14, true), packedSize: view.getUint32(at + 18, true),
    size: view.getUint32(at + 22, true) }
  // With a descriptor behind the data, zeros here say nothing.
  const later = (flags & HAS_DESCRIPTOR) !== 0
  const empty = later && stored.packedSize === 0 && stored.size === 0
  if (stored.crc !== crc && !(later && stored.crc === 0)) disagrees('checksum')
  if (empty) return
  const wide = stored.size === 0xFFFFFFFF && stored.packedSize === 0xFFFFFFFF && long !== undefined && long.length === 2
  const [localSize, localPacked] = wide ? long : [stored.size, stored.packedSize]
  if (wide && later && localSize === 0 && localPacked === 0) return
  if (localSize !== size || localPacked !== packedSize) disagrees('size')
}

/** What lies between the data of an entry and the next header: nothing, or the descriptor that its flags announce. */
function checkEnd(view: DataView, { name, flags, crc, packedSize, size }: DirectoryEntry, end: number,
  next: number): void {
  const gap = next - end
  if (gap < 0) refuseZip(`has overlapping entries (at '${name}')`, { offset: end, limit: next, path: name })
  if ((flags & HAS_DESCRIPTOR) === 0) {
    if (gap > 0) {
      refuseZip(`has ${gap} bytes that belong to no entry, behind '${name}'`, { offset: end, path: name, actual: gap })
    }
    return
  }
  const marked = gap === 16 || gap === 24
  if (!marked && gap !== 12 && gap !== 20) {
    refuseZip(`has ${gap} bytes behind '${name}', where a descriptor of 12 to 24 must be`, { offset: end, path: name,
      actual: gap })
  }
  if (marked && view.getUint32(end, true) !== DESCRIPTOR) {
    refuseZip(`has no descriptor behind '${name}'`, { offset: end, path: name })
  }
  const at = marked ? end + 4 : end
  const number = (
    offset: number,
  ): number => (gap >= 20
    ? Number(view.getBigUint64(at + 4 + 2 * offset, true))
    : view.getUint32(at + 4 + offset, true))
  if (view.getUint32(at, true) !== crc || number(0) !== packedSize || number(4) !== size) {
    refuseZip(`has a descriptor behind '${name}' that disagrees with the directory`, { offset: end, path: name })
  }
}
