/** @file Progress and cancellation of long work. */
import { CancelledError } from '../errors/errors.js'

/** Where long work stands. `total` is absent when it is not known (a stream). */
export interface Progress {
  readonly stage: 'fit' | 'tune' | 'predict'
  readonly done: number
  readonly total?: number
}

/** Something that can be asked whether to stop: an AbortSignal, or a flag in shared memory. */
export interface CancelSignal {
  readonly aborted: boolean
}

/** What long work accepts. */
export interface WorkOptions {
  readonly signal?: CancelSignal
  readonly onProgress?: (progress: Progress) => void
}

/** @throws CancelledError when the signal has been given */
export function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) throw new CancelledError()
}

/** Lets the event loop run, so that a signal can arrive and other requests are answered. */
export function breathe(): Promise<void> {
  return new Promise(resolve => {
    schedule(resolve)
  })
}

/** A macrotask where the runtime has one that is not slowed down; looked up, as a runtime may have neither. */
const schedule: (callback: () => void) => void = (() => {
  const timers = globalThis as { setImmediate?: (callback: () => void) => unknown,
    setTimeout?: (callback: () => void, ms: number) => unknown }
  if (timers.setImmediate !== undefined) {
    const immediate = timers.setImmediate
    return callback => {
      immediate(callback)
    }
  }
  if (timers.setTimeout !== undefined) {
    const timeout = timers.setTimeout
    return callback => {
      timeout(callback, 0)
    }
  }
  return callback => {
    callback()
  }
})()
