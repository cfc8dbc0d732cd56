/**
 * @file The end of a zip archive, which says where its directory is: the record of 22 bytes, and that of 64-bit
 * archives.
 */
import { refuseZip } from './refusal.js'

/** Where the central directory lies; it ends where the end records start. */
export interface EndRecord {
  readonly start: number
  readonly end: number
  readonly entries: number
}

const END = 0x06054B50
const END_64 = 0x06064B50
const LOCATOR_64 = 0x07064B50
const END_BYTES = 22
const LOCATOR_BYTES = 20
const END_64_BYTES = 56
const MOST_COMMENT = 0xFFFF

/**
 * Finds the end record. Everything must fit without a gap: directory, records, comment, end of file, so that all
 * readers agree on it.
 * @throws UntrustedInputError when there is none, or a second place that could be taken for it, or bytes before or
 * behind
 */
export function readEndRecord(view: DataView): EndRecord {
  const at = findEnd(view)
  const word = (offset: number): number => view.getUint16(at + offset, true)
  const disks = [word(4), word(6)]
  const [here, total] = [word(8), word(10)]
  const [size, start] = [view.getUint32(at + 12, true), view.getUint32(at + 16, true)]
  const long = at >= LOCATOR_BYTES && view.getUint32(at - LOCATOR_BYTES, true) === LOCATOR_64
    ? readEnd64(view, at - LOCATOR_BYTES)
    : undefined
  if (disks.some(disk => disk !== 0 && !(disk === 0xFFFF && long !== undefined))) {
    refuseZip('is one part of several disks', { offset: at + 4, actual: disks[0] })
  }
  if (here !== total) {
    refuseZip(`says it has ${total} entries, ${here} of them on this disk`, { offset: at + 8, limit: total,
      actual: here })
  }
  if (long === undefined) return placed({ start, end: at, entries: total }, size)
  agree(total, 0xFFFF, long.entries, at + 8)
  agree(size, 0xFFFFFFFF, long.size, at + 12)
  agree(start, 0xFFFFFFFF, long.start, at + 16)
  return placed({ start: long.start, end: long.at, entries: long.entries }, long.size)
}

/** A field of the short record is either the mark "see the long one" or the same number. */
function agree(short: number, mark: number, long: number, offset: number): void {
  if (short !== mark && short !== long) {
    refuseZip(`has two end records that disagree: ${short} and ${long}`, { offset, limit: short, actual: long })
  }
}

function placed(record: EndRecord, size: number): EndRecord {
  if (record.start + size !== record.end) {
    refuseZip(
      `says its directory is at bytes ${record.start} to ${
        record.start + size
      }, but the directory must end at ${record.end}: the file was cut, or has something before or behind the archive`,
      { offset: record.end, limit: record.end, actual: record.start + size },
    )
  }
  return record
}

/** The one place where an end record, with its comment, reaches exactly the end of the file. */
function findEnd(view: DataView): number {
  const last = view.byteLength - END_BYTES
  const found: number[] = []
  let seen = false
  for (let at = last; at >= Math.max(0, last - MOST_COMMENT); at--) {
    // The first byte alone rules out nearly all places.
    if (view.getUint8(at) !== 0x50 || view.getUint32(at, true) !== END) continue
    seen = true
    if (at + END_BYTES + view.getUint16(at + 20, true) === view.byteLength) found.push(at)
  }
  if (found.length > 1) refuseZip('has a second end record inside its comment', { offset: found[0] })
  if (found.length === 0) {
    refuseZip(seen ? 'has bytes behind its end record' : 'has no end record: the file was cut short', {
      offset: Math.max(0, last),
    })
  }
  return found[0]
}

interface End64 {
  readonly at: number
  readonly start: number
  readonly size: number
  readonly entries: number
}

function readEnd64(view: DataView, locator: number): End64 {
  const at = locator - END_64_BYTES
  if (at < 0 || view.getUint32(at, true) !== END_64 || safe(view, at + 4) !== END_64_BYTES - 12) {
    refuseZip('has no 64-bit end record where its locator needs one', { offset: Math.max(at, 0) })
  }
  if (safe(view, locator + 8) !== at) {
    refuseZip('has a locator that points away from its 64-bit end record', { offset: locator + 8, limit: at,
      actual: safe(view, locator + 8) })
  }
  if (view.getUint32(locator + 4, true) !== 0 || view.getUint32(locator + 16, true) > 1 ||
    view.getUint32(at + 16, true) !== 0 || view.getUint32(at + 20, true) !== 0) {
    refuseZip('is one part of several disks', { offset: at + 16 })
  }
  const entries = safe(view, at + 32)
  if (safe(view, at + 24) !== entries) refuseZip('says it has entries on other disks', { offset: at + 24 })
  return { at, entries, size: safe(view, at + 40), start: safe(view, at + 48) }
}

/** A 64-bit number as a double. */
function safe(view: DataView, offset: number): number {
  const value = Number(view.getBigUint64(offset, true))
  if (!Number.isSafeInteger(value)) refuseZip(`holds the number ${value}, beyond 2^53`, { offset, actual: value })
  return value
}
