/**
 * @file The file in which posteriors and partial fits are kept: a JSON tree with typed arrays beside it, and a digest.
 *
 * Layout, little-endian: 8 bytes magic, u32 version, u32 length of the JSON, the JSON (UTF-8, as `JSON.stringify`
 * writes it) padded with spaces to a multiple of 8, then the arrays in the order in which the JSON names them, each
 * padded with zeros to a multiple of 8, then SHA-256 (32 bytes) over everything before. In the JSON an array is
 * `{"$": [type, offset, length]}` with the offset in bytes from the end of the JSON. Version 1, of polylaplace 0.1.0,
 * has no digest.
 */
import { sha256 } from '../kernels/sha256.js'

/** The first 8 bytes. */
export const MAGIC = 'PLAPLACE'
/** The version that is written. */
export const VERSION = 2
/** Bytes before the JSON. */
export const HEADER_BYTES = 16
/** Bytes of the digest at the end. */
export const DIGEST_BYTES = 32
/** What lies between the arrays and at the end of the JSON makes their starts multiples of this. */
const ALIGNMENT = 8

/** Element types by their names in files. */
export const ARRAY_TYPES = { f8: Float64Array, f4: Float32Array, u1: Uint8Array } as const

/** An array of a tree. */
export type TreeArray = Float64Array | Float32Array | Uint8Array

/** A tree of plain values with typed arrays as leaves. */
export type Tree = null | boolean | number | string | TreeArray | readonly Tree[] | { readonly [key: string]: Tree }

function typeName(array: TreeArray): keyof typeof ARRAY_TYPES {
  return array instanceof Float64Array ? 'f8' : array instanceof Float32Array ? 'f4' : 'u1'
}

/** The next multiple of 8. */
export function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT
}

/** Writes a tree. Numbers that JSON cannot hold (NaN, infinities) must be in arrays. */
export function writeContainer(kind: string, tree: Tree): Uint8Array {
  const arrays: TreeArray[] = []
  let size = 0
  const json = JSON.stringify({ kind, tree }, (_, value: unknown) => {
    if (!(value instanceof Float64Array || value instanceof Float32Array || value instanceof Uint8Array)) return value
    const entry = { $: [typeName(value), size, value.length] }
    arrays.push(value)
    size += padded(value.byteLength)
    return entry
  })
  const text = new TextEncoder().encode(json)
  const start = HEADER_BYTES + padded(text.length)
  const end = start + size
  const bytes = new Uint8Array(end + DIGEST_BYTES).fill(0x20, HEADER_BYTES, start)
  bytes.set(new TextEncoder().encode(MAGIC))
  const view = new DataView(bytes.buffer)
  view.setUint32(8, VERSION, true)
  view.setUint32(12, padded(text.length), true)
  bytes.set(text, HEADER_BYTES)
  let offset = start
  for (const array of arrays) {
    // In the machine's byte order, taken to be little-endian: written by another one, files would hold other numbers.
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset)
    offset += padded(array.byteLength)
  }
  bytes.set(sha256(bytes.subarray(0, end)), end)
  return bytes
}

/** Whether bytes begin as a container does. */
export function isContainer(bytes: Uint8Array): boolean {
  return bytes.length >= HEADER_BYTES && String.fromCharCode(...bytes.subarray(0, MAGIC.length)) === MAGIC
}

/** What the bytes of a container say that they hold: 'posterior', 'partial'; undefined of other bytes. */
export function containerKind(bytes: Uint8Array): string | undefined {
  if (!isContainer(bytes)) return undefined
  return /^\{"kind":"(\w+)"/.exec(new TextDecoder().decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + 64)))?.[1]
}

/** Whether a node of a tree is a dictionary. */
export function isRecord(tree: Tree | undefined): tree is { readonly [key: string]: Tree } {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree) && !ArrayBuffer.isView(tree)
}
