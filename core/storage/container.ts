/**
 * @file The file in which posteriors and partial fits are kept: a JSON tree with typed arrays beside it.
 *
 * Layout, little-endian: 8 bytes magic, u32 version, u32 length of the JSON, the JSON (UTF-8) padded with spaces to a
 * multiple of 8, then the arrays, each padded to a multiple of 8. In the JSON an array is `{"$": [type, offset,
 * length]}` with the offset in bytes from the end of the JSON.
 */
import { UntrustedInputError } from '../errors/errors.js'

const MAGIC = 'PLAPLACE'
const VERSION = 1
/** Deeper trees than this are not ours. */
const MAX_DEPTH = 32

const TYPES = { f8: Float64Array, f4: Float32Array, u1: Uint8Array } as const
type TypeName = keyof typeof TYPES

/** A tree of plain values with typed arrays as leaves. */
export type Tree = null | boolean | number | string | Float64Array | Float32Array | Uint8Array | readonly Tree[] | {
  readonly [key: string]: Tree
}

function typeName(array: Float64Array | Float32Array | Uint8Array): TypeName {
  return array instanceof Float64Array ? 'f8' : array instanceof Float32Array ? 'f4' : 'u1'
}

const padded = (length: number): number => Math.ceil(length / 8) * 8

/** Writes a tree. Numbers that JSON cannot hold (NaN, infinities) must be in arrays. */
export function writeContainer(kind: string, tree: Tree): Uint8Array {
  const arrays: (Float64Array | Float32Array | Uint8Array)[] = []
  let size = 0
  const json = JSON.stringify({ kind, tree }, (_, value: unknown) => {
    if (!(value instanceof Float64Array || value instanceof Float32Array || value instanceof Uint8Array)) return value
    const entry = { $: [typeName(value), size, value.length] }
    arrays.push(value)
    size += padded(value.byteLength)
    return entry
  })
  const text = new TextEncoder().encode(json)
  const start = 16 + padded(text.length)
  const bytes = new Uint8Array(start + size).fill(0x20, 16, start)
  bytes.set(new TextEncoder().encode(MAGIC))
  const view = new DataView(bytes.buffer)
  view.setUint32(8, VERSION, true)
  view.setUint32(12, padded(text.length), true)
  bytes.set(text, 16)
  let offset = start
  for (const array of arrays) {
    // In the machine's byte order, taken to be little-endian: written by another one, files would hold other numbers.
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset)
    offset += padded(array.byteLength)
  }
  return bytes
}

/** Whether bytes begin as a container does. */
export function isContainer(bytes: Uint8Array): boolean {
  return bytes.length >= 16 && String.fromCharCode(...bytes.subarray(0, 8)) === MAGIC
}

/**
 * Reads a tree back.
 * @throws UntrustedInputError when the bytes are not a container of this kind, or malformed
 */
export function readContainer(kind: string, bytes: Uint8Array): Tree {
  const fail = (message: string, offset: number): UntrustedInputError =>
    new UntrustedInputError(`Not a valid ${kind} file: ${message}`, { format: kind, offset })
  if (!isContainer(bytes)) throw fail(`it does not begin with ${MAGIC}.`, 0)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = view.getUint32(8, true)
  if (version !== VERSION) throw fail(`it has version ${version}, and this library reads version ${VERSION}.`, 8)
  const length = view.getUint32(12, true)
  const start = 16 + length
  if (start > bytes.length || length % 8 !== 0) {
    throw fail(`its header claims ${length} bytes, and ${bytes.length - 16} are there.`, 12)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(16, start)))
  } catch {
    throw fail('its header is not JSON.', 16)
  }
  const root = restore(parsed, bytes.subarray(start), kind, 0)
  if (!isRecord(root) || root['kind'] !== kind) {
    throw fail(`it holds ${isRecord(root) ? String(root['kind']) : 'something else'}.`, 16)
  }
  return root['tree'] ?? null
}

/** Whether a node of a tree is a dictionary. */
export function isRecord(tree: Tree | undefined): tree is { readonly [key: string]: Tree } {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree) && !ArrayBuffer.isView(tree)
}

function restore(value: unknown, data: Uint8Array, kind: string, depth: number): Tree {
  if (depth > MAX_DEPTH) {
    throw new UntrustedInputError(`Not a valid ${kind} file: nested deeper than ${MAX_DEPTH}.`, { format: kind,
      limit: MAX_DEPTH })
  }
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') {
    return value
  }
  if (Array.isArray(value)) return value.map(item => restore(item, data, kind, depth + 1))
  if (typeof value !== 'object') throw new UntrustedInputError(`Not a valid ${kind} file.`, { format: kind })
  const entries = Object.entries(value)
  if (entries.length === 1 && entries[0][0] === '$') return arrayAt(entries[0][1], data, kind)
  const record: Record<string, Tree> = Object.create(null)
  for (const [key, item] of entries) record[key] = restore(item, data, kind, depth + 1)
  return record
}

/** A copy of the array, so that it is aligned and does not keep the whole file alive. */
function arrayAt(reference: unknown, data: Uint8Array, kind: string): Float64Array | Float32Array | Uint8Array {
  const [type, offset, length] = Array.isArray(reference) ? reference as unknown[] : []
  const known = type === 'f8' || type === 'f4' || type === 'u1'
  if (!known || !Number.isSafeInteger(offset) || !Number.isSafeInteger(length)) {
    throw new UntrustedInputError(`Not a valid ${kind} file: a malformed array reference.`, { format: kind })
  }
  const [at, count, width] = [Number(offset), Number(length), TYPES[type].BYTES_PER_ELEMENT]
  if (at < 0 || count < 0 || at + count * width > data.length) {
    throw new UntrustedInputError(
      `Not a valid ${kind} file: an array of ${count} elements at byte ${at} does not fit into ${data.length} bytes.`,
      { format: kind, offset: at, limit: data.length, actual: count * width },
    )
  }
  // Not `slice`: of Node's Buffers it is a view.
  const copy = new Uint8Array(data.subarray(at, at + count * width))
  return type === 'u1' ? copy : new TYPES[type](copy.buffer, 0, count)
}
