/** @file Files of the command line, with errors that name them. */
import { readFile, stat } from 'node:fs/promises'
import { LaplaceError } from '../../core/errors/errors.js'
import { writeWhole } from '../../node/files/write-file.js'

/** A file cannot be read or written; shown as it is. */
export class FileError extends Error {
  override readonly name = 'FileError'
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'access is denied',
  ENOTDIR: 'a part of the path is no folder',
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return ('code' in error && typeof error.code === 'string' ? REASONS[error.code] : undefined) ?? error.message
}

/** The bytes of a file. @throws FileError */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new FileError(`Cannot read ${path}: ${reason(error)}.`)
  }
}

/** Whether there is a folder of that name. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(found => found.isDirectory(), () => false)
}

/** Whether there is a file of that name. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(found => found.isFile(), () => false)
}

/** Writes a file, whole or not at all. @throws FileError */
export async function writeBytes(path: string, content: Uint8Array | string): Promise<void> {
  try {
    await writeWhole(path, content)
  } catch (error) {
    throw error instanceof LaplaceError ? new FileError(error.message) : error
  }
}

/** Does something with a file's content; errors of this library then begin with the file's name. */
export async function withFileName<R>(path: string, work: () => R | Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof LaplaceError && !error.message.startsWith(path)) error.message = `${path}: ${error.message}`
    throw error
  }
}
