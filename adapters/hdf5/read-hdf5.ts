/**
 * @file HDF5 files through h5wasm, the HDF5 library as WebAssembly.
 *
 * h5wasm is an optional dependency of the npm package, is a part of the Python and R packages, and is loaded when a
 * file is opened. It works on a copy of the bytes in memory, so that links to other files lead nowhere; it uses
 * neither `eval` nor `new Function`. Its own faults, and those of files made to provoke them, come out as
 * UntrustedInputError. A file can also make it run for ever, or take all memory: a host that has threads reads in
 * one that it can end (`Hdf5Reader`).
 */
import type * as H5wasm from 'h5wasm'
import { LaplaceError, ResourceError, UntrustedInputError } from '../../core/errors/errors.js'
import { sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { isHdf5 } from './signature.js'
import { groupOf, type Hdf5Array, type Hdf5Group, type Hdf5Tree } from './tree.js'

/** What reads a file: `readHdf5`, or a host's own that runs it where it can be ended. */
export type Hdf5Reader = (bytes: Uint8Array) => Promise<Hdf5Tree>

/** Members of all groups together, and how deep they may lie: links can make a small file look like a huge one. */
const MOST_MEMBERS = 200_000
const MAX_DEPTH = 64

/** What training left beside a network: as large as the network, and not needed. */
const LEFT_OUT = new Set(['optimizer', 'optimizer_weights'])

/**
 * Bytes that the arrays of a file may take when unpacked: 8 times the file, or 200 times as far as 1 GiB for compressed
 * ones.
 */
export function unpackedLimit(fileBytes: number): number {
  return Math.max(8 * fileBytes, Math.min(2 ** 30, 200 * fileBytes))
}

let counter = 0

/** The library. @throws ResourceError MISSING_DEPENDENCY */
export async function loadHdf5(): Promise<typeof H5wasm> {
  let library: typeof H5wasm
  try {
    library = await import('h5wasm')
  } catch (cause) {
    if (cause instanceof LaplaceError) throw cause
    throw new ResourceError('MISSING_DEPENDENCY',
      'Reading HDF5 files (Keras .h5 and .keras) needs the package h5wasm, which is not installed: npm install h5wasm',
      {
        package: 'h5wasm',
        command: 'npm install h5wasm',
        reason: cause instanceof Error ? cause.message : String(cause),
      })
  }
  const module = await library.ready
  // Errors become exceptions instead of lines on stderr.
  module.activate_throwing_error_handler()
  return library
}

/**
 * Hands the root of an HDF5 file to `use`.
 * @throws UntrustedInputError UNTRUSTED_INPUT when the bytes are not sound HDF5; ResourceError MISSING_DEPENDENCY
 * without h5wasm
 */
export async function withHdf5<T>(bytes: Uint8Array, use: (root: Hdf5Group) => T,
  read: Hdf5Reader = readHdf5): Promise<T> {
  if (!isHdf5(bytes)) {
    throw new UntrustedInputError('The file is not HDF5: its signature is missing.', { format: 'HDF5', offset: 0 },
      'UNSUPPORTED_FORMAT')
  }
  return use(groupOf(await read(bytes)))
}

/** Reads an HDF5 file in this thread. @throws UntrustedInputError, ResourceError */
export async function readHdf5(bytes: Uint8Array): Promise<Hdf5Tree> {
  const library = await loadHdf5()
  const name = `/polylaplace-${counter++}.h5`
  let file: H5wasm.File | undefined
  try {
    library.FS?.writeFile(name, bytes)
    file = new library.File(name, 'r')
    const limit = unpackedLimit(bytes.length)
    return readGroup({ library, limit, bytesLeft: limit, membersLeft: MOST_MEMBERS }, file, '', 0)
  } catch (cause) {
    throw cause instanceof LaplaceError ? cause : damaged(cause)
  } finally {
    closeQuietly(() => file?.close())
    closeQuietly(() => library.FS?.unlink(name))
  }
}

function damaged(cause: unknown): UntrustedInputError {
  const text = cause instanceof Error ? cause.message : String(cause)
  // HDF5 prints its calls, outermost first: `#000: ... in H5Dopen2(): unable to open dataset`.
  const reason = /\(\): ([^\n]+)/.exec(text)?.[1] ?? text.split('\n')[0]
  return new UntrustedInputError(`The HDF5 file is damaged: ${reason.slice(0, 200)}.`, { format: 'HDF5' })
}

function closeQuietly(close: () => unknown): void {
  try {
    close()
  } catch { /* The file was damaged; what matters has been said. */ }
}

interface Reading {
  readonly library: typeof H5wasm
  readonly limit: number
  bytesLeft: number
  membersLeft: number
}

function refuse(problem: string, path: string, limit: number): UntrustedInputError {
  return new UntrustedInputError(`${problem} (at '${path.slice(0, 200)}').`, { format: 'HDF5', limit,
    path: path.slice(0, 200) })
}

function spend(reading: Reading, bytes: number, path: string): void {
  reading.bytesLeft -= bytes
  if (reading.bytesLeft >= 0) return
  throw refuse(`The arrays of the HDF5 file say they take more than ${reading.limit} bytes`, path, reading.limit)
}

function readGroup(reading: Reading, group: H5wasm.Group, path: string, depth: number): Hdf5Tree {
  if (depth > MAX_DEPTH) throw refuse(`The groups of the HDF5 file lie deeper than ${MAX_DEPTH}`, path, MAX_DEPTH)
  const members = new Map<string, Hdf5Tree | Hdf5Array>()
  for (const key of group.keys()) {
    const inner = path === '' ? key : `${path}/${key}`
    if (--reading.membersLeft < 0) {
      throw refuse(`The HDF5 file has more than ${MOST_MEMBERS} members`, inner, MOST_MEMBERS)
    }
    const member = group.get(key)
    if (member instanceof reading.library.Group) {
      members.set(key,
        LEFT_OUT.has(inner) ? { members: new Map(), texts: new Map() } : readGroup(reading, member, inner, depth + 1))
    } else if (member instanceof reading.library.Dataset) members.set(key, readDataset(reading, member, inner))
  }
  return { members, texts: readTexts(reading, group, path) }
}

function readTexts(reading: Reading, group: H5wasm.Group, path: string): Map<string, string | string[]> {
  const texts = new Map<string, string | string[]>()
  for (const [name, attribute] of Object.entries(group.attrs)) {
    const { metadata } = attribute
    spend(reading, sizeOf(metadata.shape ?? []) * metadata.size, `${path}.${name}`)
    const { value } = attribute
    const parts = typeof value === 'string' ? [value] : Array.isArray(value) ? value as unknown[] : []
    if (parts.length === 0 || !parts.every((item): item is string => typeof item === 'string')) continue
    spend(reading, parts.reduce((sum, part) => sum + part.length, 0), `${path}.${name}`)
    texts.set(name, typeof value === 'string' ? value : parts)
  }
  return texts
}

function readDataset(reading: Reading, dataset: H5wasm.Dataset, path: string): Hdf5Array {
  const { metadata } = dataset
  const shape = metadata.shape ?? [0]
  spend(reading, sizeOf(shape) * Math.max(4, metadata.size), path)
  const tensor = tensorOf(dataset.value, metadata.type === 1, shape)
  return tensor === undefined
    ? { refusal: `The data set '${path}' of the HDF5 file does not hold numbers.` }
    : { tensor }
}

function tensorOf(value: H5wasm.Dataset['value'], real: boolean, shape: readonly number[]): Tensor | undefined {
  if (value instanceof Float32Array) return { dtype: 'float32', shape, data: value.slice() }
  if (value instanceof Float64Array) return { dtype: 'float64', shape, data: value.slice() }
  if (typeof value === 'number') return { dtype: real ? 'float64' : 'int64', shape, data: Float64Array.of(value) }
  if (typeof value === 'bigint') return { dtype: 'int64', shape, data: Float64Array.of(Number(value)) }
  if (!ArrayBuffer.isView(value)) return undefined
  return { dtype: 'int64', shape, data: Float64Array.from(value as unknown as ArrayLike<number | bigint>, Number) }
}
