/** @file Reads the files beside an ONNX model that hold its weights, and no others. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { isAbsolute, join, relative, sep } from 'node:path'
import { type ExternalData, externalLocations } from '../../adapters/onnx/index.js'
import { UntrustedInputError } from '../../core/errors/errors.js'

/** Which files may be read, and how much of them. */
export interface ExternalDataOptions {
  /**
   * A directory in which files may lie that symbolic links lead to; without it links are refused. Caches of model hubs
   * need it: there every file is a link into a folder of blobs.
   */
  readonly root?: string
  /** Bytes of all files together, 8 GiB by default. */
  readonly maxBytes?: number
}

/** 8 GiB. */
const MOST_BYTES = 2 ** 33

/**
 * The files that the ONNX model in `model` keeps its weights in, from the directory that the model lies in; for the
 * option externalData of `readOnnx`. Only regular files with one name are opened, and what was opened is checked, so
 * that exchanging a file in between changes nothing.
 * @throws UntrustedInputError for paths that leave the directory, links, devices, missing and overlong files
 * @example
 * const network = readOnnx(bytes, { externalData: readExternalData('models', bytes) })
 */
export function readExternalData(directory: string, model: Uint8Array,
  options: ExternalDataOptions = {}): ExternalData {
  return readFilesBeside(directory, externalLocations(model), options)
}

/**
 * Files by their paths below a directory, which a network's file names; as `readExternalData` reads them.
 * @throws UntrustedInputError
 */
export function readFilesBeside(directory: string, locations: readonly string[],
  { root, maxBytes = MOST_BYTES }: ExternalDataOptions = {}): ExternalData {
  const files = new Map<string, Uint8Array>()
  if (locations.length === 0) return files
  const folder = realpathSync(directory)
  const allowed = root === undefined ? undefined : realpathSync(root)
  let left = maxBytes
  for (const location of locations) {
    const bytes = readFile(location, folder, allowed, left)
    left -= bytes.length
    files.set(location, bytes)
  }
  return files
}

function refuse(location: string, problem: string, cause?: unknown): UntrustedInputError {
  const error = new UntrustedInputError(`The file '${location.slice(0, 200)}' with weights of the network ${problem}.`,
    { format: 'ONNX', path: location })
  if (cause !== undefined) error.cause = cause
  return error
}

function readFile(location: string, folder: string, root: string | undefined, left: number): Uint8Array {
  const real = resolved(location, folder, root)
  // Not blocking: opening a named pipe would wait for a writer.
  const fd = opened(location, real)
  try {
    const info = fstatSync(fd)
    if (!info.isFile()) throw refuse(location, 'is no regular file')
    if (info.nlink > 1) {
      throw refuse(location, 'has a second name (hard link) and may belong to something else; copy it')
    }
    const now = lstatSync(resolved(location, folder, root))
    if (now.ino !== info.ino || now.dev !== info.dev) throw refuse(location, 'was exchanged while it was opened')
    if (info.size > left) throw refuse(location, `has ${info.size} bytes; ${left} are allowed`)
    return readAll(fd, info.size, location)
  } finally {
    closeSync(fd)
  }
}

function opened(location: string, path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  } catch (cause) {
    throw refuse(location, 'cannot be opened', cause)
  }
}

/** The path without links: the plain one below the model's directory, or one inside of the root. */
function resolved(location: string, folder: string, root: string | undefined): string {
  const plain = join(folder, ...location.split('/'))
  let real: string
  try {
    real = realpathSync(plain)
  } catch (cause) {
    throw refuse(location, `is not in the directory of the model, ${folder}`, cause)
  }
  if (real === plain) return real
  if (root === undefined) {
    throw refuse(location,
      'is reached through a symbolic link; name the directory that the link leads to as the root, if that is meant')
  }
  const below = relative(root, real)
  if (below === '' || below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)) {
    throw refuse(location, `is a link that leaves ${root}`)
  }
  return real
}

function readAll(fd: number, size: number, location: string): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size;) {
    const count = readSync(fd, bytes, at, size - at, at)
    if (count === 0) throw refuse(location, 'became shorter while it was read')
    at += count
  }
  return bytes
}
