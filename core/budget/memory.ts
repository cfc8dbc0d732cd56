/** @file Bytes: the limit, its check before an allocation, and how they are printed. */
import { ResourceError } from '../errors/errors.js'

/** The largest posterior that is fitted without being asked for: 4 GiB. */
export const DEFAULT_MEMORY_LIMIT = 4 * 2 ** 30

/**
 * Checks an array that a call is about to make against the default limit.
 * @throws ResourceError OUT_OF_MEMORY naming both, and what to do
 */
export function checkBytes(what: string, bytes: number, advice: string): void {
  if (bytes <= DEFAULT_MEMORY_LIMIT) return
  throw new ResourceError('OUT_OF_MEMORY',
    `${what} would need ${formatBytes(bytes)}, more than the limit of ${formatBytes(DEFAULT_MEMORY_LIMIT)}. ${advice}`,
    { needed: bytes, limit: DEFAULT_MEMORY_LIMIT })
}

/** A number of bytes in the unit that suits it. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit]}`
}
