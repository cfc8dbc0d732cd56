/**
 * @file The header of a safetensors file: eight bytes of length, JSON that names every tensor, then the data.
 *
 * Strict per the format's specification (github.com/huggingface/safetensors): offsets start at 0, leave no holes, do
 * not overlap and end with the file.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { elementBytes, type FileDType } from '../tensors/file-tensor.js'
import { isString, type JsonCursor, malformed, readCounts, readObject, readString, skipSpace,
  skipValue } from './json-cursor.js'

/** One tensor of the header; offsets count from the end of the header. */
export interface HeaderEntry {
  readonly name: string
  readonly dtype: FileDType
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/** The header of a file. */
export interface Header {
  /** In the order of the header. */
  readonly entries: readonly HeaderEntry[]
  /** Texts of `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>
  /** Where the data begin in the file. */
  readonly dataOffset: number
}

const FORMAT = 'safetensors'
/** The specification's own limit. */
const LONGEST_HEADER = 100_000_000
/** The largest known files have some thousands. */
const MOST_TENSORS = 100_000
/** Tensors without elements cost the file nothing; real files have next to none. */
const MOST_EMPTY = 10_000
const MOST_AXES = 32

const DTYPES: ReadonlyMap<string, FileDType> = new Map([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
])
/** Element types of the format that hold no numbers of ours. */
const UNSUPPORTED: ReadonlySet<string> = new Set(['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'F4',
  'F6_E2M3', 'F6_E3M2', 'C64'])

/** Whether bytes begin like a safetensors file: a length that the file can hold, then `{`. */
export function looksLikeSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false
  const length = headerLength(bytes)
  return length >= 2n && length <= BigInt(bytes.length - 8)
}

function headerLength(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}

/**
 * Reads and checks the header.
 * @param tolerant accepts what R's torch writes: metadata that are not texts, bytes behind the tensors
 * @throws UntrustedInputError UNTRUSTED_INPUT with the offset or the tensor, UNSUPPORTED_FORMAT for element types
 * without a counterpart
 */
export function readHeader(bytes: Uint8Array, tolerant: boolean): Header {
  if (bytes.length < 8) {
    throw new UntrustedInputError(`A safetensors file has at least 8 bytes; this one has ${bytes.length}.`, {
      format: FORMAT,
      limit: 8,
      actual: bytes.length,
    })
  }
  const length = headerLength(bytes)
  if (length > BigInt(bytes.length - 8)) {
    throw new UntrustedInputError(
      `The header says that it has ${length} bytes; the file has ${bytes.length - 8} behind its length.`,
      { format: FORMAT, offset: 0, limit: bytes.length - 8, actual: String(length) },
    )
  }
  if (length > BigInt(LONGEST_HEADER)) {
    throw new UntrustedInputError(`The header has ${length} bytes, more than the format's limit of ${LONGEST_HEADER}.`,
      { format: FORMAT, offset: 0, limit: LONGEST_HEADER, actual: String(length) })
  }
  const dataOffset = 8 + Number(length)
  if (bytes[8] !== 0x7b || dataOffset === 8) {
    throw new UntrustedInputError(
      `The header must begin with '{'; it begins with the byte ${bytes[8] ?? 'of no header'}.`,
      { format: FORMAT, offset: 8, actual: bytes[8] },
    )
  }
  const cursor: JsonCursor = { bytes, offset: 8, end: dataOffset, format: FORMAT }
  const { entries, metadata } = readEntries(cursor, tolerant)
  skipSpace(cursor)
  if (cursor.offset !== dataOffset) throw malformed(cursor, 'The header has something behind its end')
  checkLayout(entries, bytes.length - dataOffset, tolerant)
  return { entries, metadata, dataOffset }
}

function readEntries(cursor: JsonCursor, tolerant: boolean): { entries: HeaderEntry[], metadata: Map<string, string> } {
  const entries: HeaderEntry[] = []
  const metadata = new Map<string, string>()
  let empty = 0
  readObject(cursor, 'The header', name => {
    if (name === '__metadata__') {
      readMetadata(cursor, metadata, tolerant)
      return
    }
    if (entries.length >= MOST_TENSORS) throw malformed(cursor, `The header has more than ${MOST_TENSORS} tensors`)
    const entry = readEntry(cursor, name)
    if (entry.begin === entry.end && ++empty > MOST_EMPTY) {
      throw malformed(cursor, `The header has more than ${MOST_EMPTY} tensors without elements`)
    }
    entries.push(entry)
  })
  return { entries, metadata }
}

function readMetadata(cursor: JsonCursor, metadata: Map<string, string>, tolerant: boolean): void {
  readObject(cursor, '__metadata__', key => {
    if (isString(cursor)) {
      metadata.set(key, readString(cursor, 'a text'))
      return
    }
    if (!tolerant) {
      throw malformed(cursor,
        `__metadata__ must hold texts only; '${
          key.slice(0, 100)
        }' is none. If R's torch wrote the file (torch_save), read it with tolerate: 'r-torch'`, '__metadata__')
    }
    skipValue(cursor)
  })
}

function readEntry(cursor: JsonCursor, name: string): HeaderEntry {
  let dtype: string | undefined
  let shape: number[] | undefined
  let offsets: number[] | undefined
  readObject(cursor, `The entry of '${name.slice(0, 100)}'`, key => {
    if (key === 'dtype') dtype = readString(cursor, 'dtype')
    else if (key === 'shape') shape = readCounts(cursor, `The shape of '${name.slice(0, 100)}'`, MOST_AXES)
    else if (key === 'data_offsets') offsets = readCounts(cursor, `data_offsets of '${name.slice(0, 100)}'`, 2)
    else {throw malformed(cursor, `The entry of '${name.slice(0, 100)}' has the unknown field '${key.slice(0, 100)}'`,
        name)}
  })
  if (dtype === undefined || shape === undefined || offsets?.length !== 2) {
    throw malformed(cursor, `The entry of '${name.slice(0, 100)}' must have dtype, shape and two data_offsets`, name)
  }
  return checkEntry(cursor, name, dtype, shape, offsets[0], offsets[1])
}

function checkEntry(cursor: JsonCursor, name: string, word: string, shape: readonly number[], begin: number,
  end: number): HeaderEntry {
  const dtype = DTYPES.get(word)
  if (dtype === undefined) {
    const known = UNSUPPORTED.has(word)
    throw new UntrustedInputError(
      `The tensor '${name.slice(0, 100)}' has the dtype ${word.slice(0, 50)}, which is ${
        known ? 'not supported; convert it to F32 or BF16' : 'not known'
      }.`,
      { format: FORMAT, path: name.slice(0, 200), actual: word.slice(0, 50) },
      known ? 'UNSUPPORTED_FORMAT' : 'UNTRUSTED_INPUT',
    )
  }
  if (begin > end) {
    throw malformed(cursor, `The data of '${name.slice(0, 100)}' end at ${end} before they begin at ${begin}`, name)
  }
  if (elements(shape) * elementBytes(dtype) !== end - begin) {
    throw malformed(cursor,
      `The tensor '${name.slice(0, 100)}' of shape [${shape.join(', ').slice(0, 200)}] and dtype ${word} has ${
        end - begin
      } bytes of data`, name, end - begin)
  }
  return { name, dtype, shape, begin, end }
}

/** The product of a shape; NaN when it passes 2^53 on its way, even if a later extent is 0. */
function elements(shape: readonly number[]): number {
  let size = 1
  for (const extent of shape) {
    size *= extent
    if (!Number.isSafeInteger(size)) return NaN
  }
  return size
}

/** No hole, no overlap, nothing behind. */
function checkLayout(entries: readonly HeaderEntry[], available: number, tolerant: boolean): void {
  const ordered = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)
  let position = 0
  for (const { name, begin, end } of ordered) {
    if (end > available) {
      throw new UntrustedInputError(
        `The data of '${name.slice(0, 100)}' end at ${end}; the file has ${available} bytes of data.`,
        { format: FORMAT, path: name.slice(0, 200), limit: available, actual: end },
      )
    }
    if (begin !== position) {
      throw new UntrustedInputError(
        `The data of '${name.slice(0, 100)}' begin at ${begin}, ${
          begin < position ? 'inside of' : 'with a hole behind'
        } those that end at ${position}.`,
        { format: FORMAT, path: name.slice(0, 200), limit: position, actual: begin },
      )
    }
    position = end
  }
  if (position !== available && !tolerant) {
    throw new UntrustedInputError(
      `The tensors end at ${position}; the file has ${available} bytes of data. ` +
        `If R's torch wrote it (torch_save), read it with tolerate: 'r-torch'.`,
      { format: FORMAT, limit: position, actual: available },
    )
  }
}
