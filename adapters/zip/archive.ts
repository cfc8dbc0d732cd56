/**
 * @file Zip archives, as PyTorch, Keras and NumPy write them: entries by name, stored ones as views of the file.
 *
 * The reader is stricter than others: an archive that two readers could take for different things is refused, whatever
 * it holds.
 */
import { runtimeCrc32 } from './crc32.js'
import { DEFLATED, readDirectory } from './directory.js'
import { readEndRecord } from './end-record.js'
import { type PlacedEntry, placeEntries } from './local-header.js'
import { refuseZip, unsupportedZip } from './refusal.js'

/** What the caller gives for decompression and checksums, and bounds. */
export interface ZipOptions {
  /**
   * Unpacks raw deflate data into at most `maxOutput` bytes. Without it deflated entries are refused.
   * @example
   * const inflate = (bytes: Uint8Array, maxOutput: number) =>
   *   zlib.inflateRawSync(bytes, { maxOutputLength: maxOutput })
   */
  readonly inflate?: ((bytes: Uint8Array, maxOutput: number) => Uint8Array) | undefined
  /**
   * The checksum function; by default the runtime's own (`zlib.crc32` of Node) where there is one, else a built-in one.
   */
  readonly crc32?: ((bytes: Uint8Array) => number) | undefined
  /** Entries in all, by default 50,000; large checkpoints have some thousand. */
  readonly mostEntries?: number
  /**
   * Bytes that all deflated entries may take unpacked: by default 200 times the archive, at least 1 MiB and at most 1
   * GiB.
   */
  readonly mostInflated?: number
}

/** An open archive. */
export interface ZipArchive {
  /** Names of the files in it, in the order in which they lie in the archive; folders are left out. */
  readonly names: readonly string[]
  /** Whether there is a file of this name. */
  has(name: string): boolean
  /** Bytes of a file when unpacked, without unpacking it. */
  sizeOf(name: string): number
  /**
   * The bytes of a file: a view of the archive where it is stored. The checksum is compared.
   * @throws UntrustedInputError
   */
  read(name: string): Uint8Array
}

const MOST_ENTRIES = 50_000

/** Whether bytes start as a zip archive (with an entry, or as an empty one). */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4B &&
    ((bytes[2] === 3 && bytes[3] === 4) || (bytes[2] === 5 && bytes[3] === 6))
}

/**
 * Opens a zip archive: checks its records, its directory and every header, and unpacks nothing yet.
 * @throws UntrustedInputError UNTRUSTED_INPUT for archives that are damaged or ambiguous; UNSUPPORTED_FORMAT for
 * encrypted ones and packing methods other than deflate
 * @example
 * const config = openZip(bytes).read('config.json')
 */
export function openZip(bytes: Uint8Array, options: ZipOptions = {}): ZipArchive {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = readEndRecord(view)
  const entries = new Map<string, PlacedEntry>()
  for (const entry of placeEntries(bytes, view, readDirectory(bytes, view, end, options.mostEntries ?? MOST_ENTRIES),
    end.start)) {
    if (!entry.name.endsWith('/')) entries.set(entry.name, entry)
  }
  const find = (name: string): PlacedEntry =>
    entries.get(name) ?? refuseZip(`has no entry '${name.slice(0, 200)}'`, { path: name })
  const budget = { left: options.mostInflated ?? Math.max(2 ** 20, Math.min(2 ** 30, 200 * bytes.length)) }
  const done = new Map<string, Uint8Array>()
  return {
    names: [...entries.keys()],
    has: name => entries.has(name),
    sizeOf: name => find(name).size,
    read: name => {
      const known = done.get(name)
      if (known !== undefined) return known
      const content = unpack(bytes, find(name), options, budget)
      done.set(name, content)
      return content
    },
  }
}

function unpack(bytes: Uint8Array, entry: PlacedEntry, options: ZipOptions, budget: { left: number }): Uint8Array {
  const { name, start, packedSize, size, crc } = entry
  const packed = bytes.subarray(start, start + packedSize)
  const content = entry.method === DEFLATED ? inflateEntry(packed, entry, options, budget) : packed
  const actual = (options.crc32 ?? runtimeCrc32())(content) >>> 0
  if (actual !== crc) {
    refuseZip(`is damaged: the checksum of '${name}' does not fit its ${size} bytes`, { offset: start, path: name,
      limit: crc, actual })
  }
  return content
}

function inflateEntry(packed: Uint8Array, { name, size, start }: PlacedEntry, { inflate }: ZipOptions,
  budget: { left: number }): Uint8Array {
  if (inflate === undefined) {
    return unsupportedZip(
      `holds the deflated entry '${name}', and no inflate function was given: ` +
        'give the option inflate, or save the model without compression',
      { offset: start, path: name },
    )
  }
  if (size > budget.left) {
    refuseZip(
      `says '${name}' unpacks to ${size} bytes, more than the ${budget.left} that are left of what an ` +
        'archive of this size may hold',
      { offset: start, path: name, limit: budget.left, actual: size },
    )
  }
  let content: Uint8Array
  try {
    content = inflate(packed, size)
  } catch (cause) {
    return refuseZip(
      `is damaged: '${name}' cannot be unpacked to ${size} bytes: ${
        cause instanceof Error ? cause.message.slice(0, 200) : 'unknown fault'
      }`,
      { offset: start, path: name, limit: size },
    )
  }
  if (content.length !== size) {
    refuseZip(`says '${name}' unpacks to ${size} bytes; it has ${content.length}`, { offset: start, path: name,
      limit: size, actual: content.length })
  }
  budget.left -= size
  return content
}
