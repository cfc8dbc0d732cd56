/**
 * @file HDF5 files through h5wasm, the HDF5 library as WebAssembly.
 *
 * h5wasm is an optional dependency of the npm package, is a part of the Python and R packages, and is loaded when a
 * file is opened. It works on a copy of the bytes in a file
 * system in memory, so that links to other files lead nowhere; it uses neither `eval` nor `new Function`. Its own
 * faults, and those of files made to provoke them, come out as UntrustedInputError.
 */
import type * as H5wasm from 'h5wasm'
import { LaplaceError, ResourceError, UntrustedInputError } from '../../core/errors/errors.js'
import { sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { isHdf5 } from './signature.js'

/** A group of an open HDF5 file. */
export interface Hdf5Group {
  /** Names of the members, in the file's order. */
  keys(): string[]
  /** A group inside this one (`a/b` for deeper ones), or undefined. */
  group(name: string): Hdf5Group | undefined
  /**
   * An array of numbers, or undefined when there is none of this name.
   * @throws UntrustedInputError when it is too large or of another kind
   */
  tensor(name: string): Tensor | undefined
  /** An attribute that is text or a list of texts, or undefined. */
  text(name: string): string | string[] | undefined
}

/**
 * Bytes that the arrays of a file may take when unpacked: 8 times the file, or 200 times as far as 1 GiB for compressed
 * ones.
 */
function unpackedLimit(fileBytes: number): number {
  return Math.max(8 * fileBytes, Math.min(2 ** 30, 200 * fileBytes))
}

let counter = 0

async function loadLibrary(): Promise<typeof H5wasm> {
  let library: typeof H5wasm
  try {
    library = await import('h5wasm')
  } catch (cause) {
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
 * Opens an HDF5 file, hands its root to `use` and closes it.
 * @throws UntrustedInputError UNTRUSTED_INPUT when the bytes are not sound HDF5; ResourceError MISSING_DEPENDENCY
 * without h5wasm
 */
export async function withHdf5<T>(bytes: Uint8Array, use: (root: Hdf5Group) => T): Promise<T> {
  if (!isHdf5(bytes)) {
    throw new UntrustedInputError('The file is not HDF5: its signature is missing.', { format: 'HDF5', offset: 0 },
      'UNSUPPORTED_FORMAT')
  }
  const library = await loadLibrary()
  const name = `/polylaplace-${counter++}.h5`
  let file: H5wasm.File | undefined
  try {
    library.FS?.writeFile(name, bytes)
    file = new library.File(name, 'r')
    const budget = { left: unpackedLimit(bytes.length), limit: unpackedLimit(bytes.length) }
    return use(wrapGroup(library, file, budget))
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

interface Budget {
  left: number
  readonly limit: number
}

function wrapGroup(library: typeof H5wasm, group: H5wasm.Group, budget: Budget): Hdf5Group {
  const member = (name: string): unknown => {
    // h5wasm throws for names that are not there.
    const parts = name.split('/')
    let current: H5wasm.Group = group
    for (const [i, part] of parts.entries()) {
      if (!current.keys().includes(part)) return undefined
      const next = current.get(part)
      if (i === parts.length - 1) return next
      if (!(next instanceof library.Group)) return undefined
      current = next
    }
    return undefined
  }
  return {
    keys: () => group.keys(),
    group: name => {
      const found = member(name)
      return found instanceof library.Group ? wrapGroup(library, found, budget) : undefined
    },
    tensor: name => {
      const found = member(name)
      return found instanceof library.Dataset ? readDataset(found, name, budget) : undefined
    },
    text: name => {
      const attribute = group.attrs[name]
      if (attribute === undefined) return undefined
      const { value } = attribute
      if (typeof value === 'string') return value
      return Array.isArray(value) && value.every(item => typeof item === 'string') ? value as string[] : undefined
    },
  }
}

function readDataset(dataset: H5wasm.Dataset, name: string, budget: Budget): Tensor {
  const { metadata } = dataset
  const shape = metadata.shape ?? [0]
  const count = sizeOf(shape)
  budget.left -= count * Math.max(4, metadata.size)
  if (budget.left < 0) {
    throw new UntrustedInputError(
      `The arrays of the HDF5 file say they take more than ${budget.limit} bytes (at '${name}').`,
      { format: 'HDF5', limit: budget.limit, path: name },
    )
  }
  const { value } = dataset
  if (value instanceof Float32Array) return { dtype: 'float32', shape, data: value.slice() }
  if (value instanceof Float64Array) return { dtype: 'float64', shape, data: value.slice() }
  if (typeof value === 'number') {
    return { dtype: metadata.type === 1 ? 'float64' : 'int64', shape, data: Float64Array.of(value) }
  }
  if (typeof value === 'bigint') return { dtype: 'int64', shape, data: Float64Array.of(Number(value)) }
  if (ArrayBuffer.isView(value)) {
    return { dtype: 'int64', shape, data: Float64Array.from(value as unknown as ArrayLike<number | bigint>, Number) }
  }
  throw new UntrustedInputError(`The data set '${name}' of the HDF5 file does not hold numbers.`, { format: 'HDF5',
    path: name }, 'UNSUPPORTED_FORMAT')
}
