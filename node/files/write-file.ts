/**
 * @file Files written whole or not at all: beside their place, synced, and renamed, so that a full disk or a process
 * that is ended leaves the old file.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { demand } from '../../core/errors/demand.js'
import { ResourceError } from '../../core/errors/errors.js'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  EISDIR: 'it is a folder',
  EACCES: 'access is denied',
  EPERM: 'access is denied',
  ENOTDIR: 'a part of the path is no folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file would be larger than is allowed',
  EROFS: 'the file system is read-only',
}

/** Writes a file, whole or not at all. @throws ResourceError NOT_WRITTEN; what was there before is still there */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  demand(typeof path === 'string', 'path', 'the path of a file', path)
  demand(typeof content === 'string' || content instanceof Uint8Array, 'content', 'bytes or text', content)
  try {
    // Where a link leads, so that it stays one.
    const target = await realpath(path).catch(() => path)
    const before = await stat(target).catch(() => undefined)
    // Pipes and devices cannot be renamed to, and have nothing to lose.
    if (before !== undefined && !before.isFile()) await writeThrough(target, content)
    else await replace(target, content, before?.mode)
  } catch (error) {
    throw notWritten(path, error)
  }
}

async function replace(target: string, content: Uint8Array | string, mode = 0o666): Promise<void> {
  const folder = dirname(target)
  const beside = join(folder, `.${basename(target).slice(0, 100)}.${randomBytes(6).toString('hex')}.tmp`)
  const file = await open(beside, 'wx', mode & 0o777)
  try {
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, target)
  } catch (error) {
    await unlink(beside).catch(() => undefined)
    throw error
  }
  await syncFolder(folder)
}

async function writeThrough(target: string, content: Uint8Array | string): Promise<void> {
  const file = await open(target, 'w')
  try {
    await file.writeFile(content)
  } finally {
    await file.close()
  }
}

/** The new name is on the disk then; not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  let file: FileHandle | undefined
  try {
    file = await open(folder, 'r')
    await file.sync()
  } catch {
    /* The file itself is written. */
  } finally {
    await file?.close()
  }
}

function notWritten(path: string, error: unknown): ResourceError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error))
  return new ResourceError('NOT_WRITTEN', `Cannot write ${path}: ${reason}. What was there before is unchanged.`, {
    path,
    reason: code,
  })
}
