/**
 * @file What every malicious file must meet: an error of ours (or a result), soon, with little memory, and nothing
 * left behind.
 */
import type { Test } from 'tap'
import { LaplaceError, UntrustedInputError } from '../../core/errors/errors.js'
import { allowed, quickest } from './time-limits.js'

const MOST_MILLISECONDS = 1000
const MOST_BYTES = 200 * 2 ** 20

/** Runs a reader; returns its error, or undefined when it gave a result. Anything but an error of ours is thrown on. */
export function failureOf(read: () => unknown): LaplaceError | undefined {
  const before = process.memoryUsage()
  let failure: LaplaceError | undefined
  const limit = allowed(MOST_MILLISECONDS)
  const elapsed = quickest(limit, () => {
    try {
      read()
    } catch (error) {
      if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') throw error
      failure = error
    }
  })
  const after = process.memoryUsage()
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  if (elapsed >= limit) throw new Error(`took ${elapsed} ms`)
  if (grown > MOST_BYTES) throw new Error(`took ${grown} bytes`)
  if ('x' in {} || 'polluted' in {} || Object.keys(Object.prototype).length > 0) {
    throw new Error('the prototype of objects was changed')
  }
  return failure
}

/** Asserts that a reader refuses a file with a typed error whose message fits. */
export function refused(t: Test, read: () => unknown, pattern: RegExp, name: string): void {
  const error = failureOf(read)
  t.ok(error instanceof UntrustedInputError, `${name}: ${error === undefined ? 'was accepted' : error.code}`)
  t.match(error?.message ?? 'accepted', pattern, name)
}
