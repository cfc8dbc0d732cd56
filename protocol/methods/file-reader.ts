/** @file Files that requests name: only regular files below the folders that the server was started with. */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import { ProtocolError } from '../../core/errors/errors.js'
import type { FileData } from '../frames/arrays.js'
import { isMap, own } from '../frames/decoded-map.js'

/** Reads files below some folders. */
export interface FileReader {
  /** A whole file. @throws ProtocolError PROTOCOL */
  read(path: unknown): Uint8Array
  /** A part of a file: `{file, offset, length, sha256?}`. */
  readonly data: FileData
}

function refuse(message: string, path: unknown): ProtocolError {
  return new ProtocolError('PROTOCOL', message, { path: String(path).slice(0, 200) })
}

/** A reader of files below `directories`; without any, every path is refused. */
export function createFileReader(directories: readonly string[]): FileReader {
  const roots = directories.map(directory => realpathSync(directory))
  return {
    read: path => withFile(path, roots, (fd, size) => readPart(fd, 0, size, path)),
    data: (reference, name) => {
      if (!isMap(reference)) throw refuse(`The data of ${name} must be bin or {file, offset, length}.`, name)
      const [offset, length, digest] = [own(reference, 'offset'), own(reference, 'length'),
        own(reference, 'sha256') ?? undefined]
      if (!isCount(offset) || !isCount(length)) {
        throw refuse(`The data of ${name} needs an offset and a length in bytes.`, name)
      }
      const bytes = withFile(own(reference, 'file'), roots, (fd, size) => {
        if (offset + length > size) {
          throw refuse(`The data of ${name} ends at byte ${offset + length} of a file of ${size}.`,
            own(reference, 'file'))
        }
        return readPart(fd, offset, length, own(reference, 'file'))
      })
      if (digest !== undefined && sha256(bytes) !== digest) {
        throw refuse(`The data of ${name} does not have the SHA-256 that was announced.`, own(reference, 'file'))
      }
      return bytes
    },
  }
}

/** Node's own, fetched when it is needed: it would be the slowest part of starting a compute thread. */
function sha256(bytes: Uint8Array): string {
  return process.getBuiltinModule('node:crypto').createHash('sha256').update(bytes).digest('hex')
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/** Opens the file that the name leads to and checks what was opened, so that a swap in between changes nothing. */
function withFile<T>(path: unknown, roots: readonly string[], use: (fd: number, size: number) => T): T {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw refuse('A path must be text without NUL.', path)
  }
  if (roots.length === 0) {
    throw refuse('This server was not started with --read-dir: send the bytes instead of a path.', path)
  }
  const real = realPath(path, roots)
  // Not blocking: opening a named pipe would wait for a writer.
  const fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    const info = fstatSync(fd)
    if (!info.isFile()) throw refuse('The path is not that of a regular file.', path)
    if (info.nlink > 1) {
      throw refuse('The file has a second name (hard link) and may lie outside of the folders that are allowed.', path)
    }
    return use(fd, info.size)
  } finally {
    closeSync(fd)
  }
}

/** The path without symbolic links, inside one of the roots. */
function realPath(path: string, roots: readonly string[]): string {
  const candidates = isAbsolute(path) ? [path] : roots.map(root => resolve(root, path))
  for (const candidate of candidates) {
    let real: string
    try {
      real = realpathSync(candidate)
    } catch {
      continue
    }
    if (roots.some(root => {
      const below = relative(root, real)
      return below !== '' && !below.startsWith('..') && !isAbsolute(below)
    })) return real
  }
  throw refuse('There is no such file below the folders given with --read-dir.', path)
}

function readPart(fd: number, offset: number, length: number, path: unknown): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const count = readSync(fd, bytes, at, length - at, offset + at)
    if (count === 0) throw refuse('The file became shorter while it was read.', path)
    at += count
  }
  return bytes
}
