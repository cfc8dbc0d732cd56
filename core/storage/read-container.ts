/** @file A container from bytes that may have been cut, changed, or made to harm. */
import { UntrustedInputError } from '../errors/errors.js'
import { sha256 } from '../kernels/sha256.js'
import { ARRAY_TYPES, DIGEST_BYTES, HEADER_BYTES, isContainer, isRecord, MAGIC, padded, type Tree, type TreeArray,
  VERSION } from './container.js'

/** Deeper trees than this are not ours. */
const MAX_DEPTH = 32
/** Plain values of a tree: a network of 100,000 nodes has 3 million. Each takes some 50 bytes of memory. */
const MAX_VALUES = 2 ** 23

/** What a container holds. */
export interface Container {
  readonly tree: Tree
  /** Whether it carries a digest; files of 0.1.0 do not, so that damage to their numbers cannot be told. */
  readonly hasDigest: boolean
}

/** What is said of files without a digest. */
export const NO_DIGEST_NOTE =
  'The file is of version 0.1.0 and carries no digest, so that damage to its numbers could not be told; save it again.'

/**
 * Reads a container back.
 * @throws UntrustedInputError when the bytes are not a container of this kind, were changed, or hold anything that the
 * writer does not write: a name twice, an array twice, bytes that belong to nothing
 */
export function readContainer(kind: string, bytes: Uint8Array): Container {
  if (!isContainer(bytes)) {
    throw invalid(kind, `it does not begin with ${MAGIC}. A fit of a network to its training rows writes such files.`,
      0)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = view.getUint32(8, true)
  if (version !== VERSION && version !== 1) {
    throw invalid(kind, `it has version ${version}, and this library reads versions 1 and ${VERSION}.`, 8)
  }
  const content = version === 1 ? bytes : withoutDigest(kind, bytes)
  const length = view.getUint32(12, true)
  const start = HEADER_BYTES + length
  if (start > content.length || length !== padded(length)) {
    throw invalid(kind, `its header claims ${length} bytes, and ${content.length - HEADER_BYTES} are there.`, 12)
  }
  const arrays = new ArrayReader(kind, content.subarray(start))
  const root = restore(parseHeader(kind, content.subarray(HEADER_BYTES, start)), arrays)
  arrays.finish()
  if (!isRecord(root) || root['kind'] !== kind) {
    const found = isRecord(root) ? root['kind'] : undefined
    throw invalid(kind, `it holds ${typeof found === 'string' ? found.slice(0, 50) : 'something else'}.`, HEADER_BYTES)
  }
  return { tree: root['tree'] ?? null, hasDigest: version !== 1 }
}

function invalid(kind: string, problem: string, offset: number): UntrustedInputError {
  return new UntrustedInputError(`Not a valid ${kind} file: ${problem}`, { format: kind, offset })
}

function withoutDigest(kind: string, bytes: Uint8Array): Uint8Array {
  const end = bytes.length - DIGEST_BYTES
  const digest = end < HEADER_BYTES ? undefined : sha256(bytes.subarray(0, end))
  if (digest?.every((byte, i) => byte === bytes[end + i]) === true) return bytes.subarray(0, end)
  throw invalid(kind, 'its digest is another one, so it was cut off or changed after it was saved; ' +
    'take another copy, or save it again.', Math.max(0, end))
}

/** The JSON. Only what `JSON.stringify` writes is taken, so that no name stands twice and nothing is said twice. */
function parseHeader(kind: string, bytes: Uint8Array): unknown {
  checkExtent(kind, bytes)
  let [text, parsed]: [string, unknown] = ['', undefined]
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    parsed = JSON.parse(text)
  } catch {
    throw invalid(kind, 'its header is not JSON.', HEADER_BYTES)
  }
  const plain = JSON.stringify(parsed)
  if (text.startsWith(plain) && /^ {0,7}$/.test(text.slice(plain.length))) return parsed
  throw invalid(kind, 'its header is not as it is written: a name stands twice, or there is more than is needed.',
    HEADER_BYTES)
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [OPENING, CLOSING] = [new Set([0x5b, 0x7b]), new Set([0x5d, 0x7d])]

/** Bounds depth and number of values before any of them is made. */
function checkExtent(kind: string, bytes: Uint8Array): void {
  let [depth, values, quoted] = [0, 0, false]
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (quoted) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) quoted = false
    } else if (byte === QUOTE) quoted = true
    else if (OPENING.has(byte)) [depth, values] = [depth + 1, values + 1]
    else if (CLOSING.has(byte)) depth--
    else if (byte === COMMA) values++
    if (depth > MAX_DEPTH || values > MAX_VALUES) {
      const [limit, actual] = depth > MAX_DEPTH ? [MAX_DEPTH, depth] : [MAX_VALUES, values]
      throw new UntrustedInputError(
        `Not a valid ${kind} file: it ${depth > MAX_DEPTH ? 'is nested deeper' : 'has more values'} than ${limit}.`,
        { format: kind, offset: HEADER_BYTES + at, limit, actual },
      )
    }
  }
}

function restore(value: unknown, arrays: ArrayReader): Tree {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') {
    return value
  }
  if (Array.isArray(value)) return value.map(item => restore(item, arrays))
  const entries = Object.entries(value as object)
  if (entries.length === 1 && entries[0][0] === '$') return arrays.next(entries[0][1])
  const record: Record<string, Tree> = Object.create(null)
  for (const [key, item] of entries) record[key] = restore(item, arrays)
  return record
}

/**
 * The arrays of a container, one behind the other as they were written: none can stand for two, so that all of them
 * together are no larger than the file.
 */
class ArrayReader {
  readonly #kind: string
  readonly #data: Uint8Array
  #at = 0

  constructor(kind: string, data: Uint8Array) {
    this.#kind = kind
    this.#data = data
  }

  /** A copy of the array, so that it is aligned and does not keep the whole file alive. */
  next(reference: unknown): TreeArray {
    const [type, offset, length, ...more] = Array.isArray(reference) ? reference as unknown[] : []
    const known = type === 'f8' || type === 'f4' || type === 'u1'
    if (!known || !Number.isSafeInteger(length) || Number(length) < 0 || more.length > 0) {
      throw invalid(this.#kind, 'a malformed array reference.', HEADER_BYTES)
    }
    if (offset !== this.#at) {
      throw invalid(this.#kind, `an array should be at byte ${this.#at} of the data, and is said to be elsewhere.`,
        HEADER_BYTES)
    }
    const [at, count, size] = [this.#at, Number(length), Number(length) * ARRAY_TYPES[type].BYTES_PER_ELEMENT]
    if (at + padded(size) > this.#data.length) {
      throw new UntrustedInputError(
        `Not a valid ${this.#kind} file: an array of ${count} elements at byte ${at} does not fit into ` +
          `${this.#data.length} bytes.`,
        { format: this.#kind, offset: at, limit: this.#data.length, actual: size },
      )
    }
    this.#at += padded(size)
    // Not `slice`: of Node's Buffers it is a view.
    const copy = new Uint8Array(this.#data.subarray(at, at + size))
    return type === 'u1' ? copy : new ARRAY_TYPES[type](copy.buffer, 0, count)
  }

  /** @throws UntrustedInputError when there is more than the arrays */
  finish(): void {
    if (this.#at === this.#data.length) return
    throw invalid(this.#kind, `${this.#data.length - this.#at} bytes behind its arrays belong to nothing.`, this.#at)
  }
}
