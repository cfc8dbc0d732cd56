/** @file Progress and cancellation of long work. */
import { CancelledError } from '../errors/errors.js'
import { clock } from './clock.js'
import { LEAST_RATE, multiplicationRate } from './rate.js'

/** Where long work stands. `total` is absent when it is not known (a stream). */
export interface Progress {
  readonly stage: 'fit' | 'tune' | 'predict'
  readonly done: number
  readonly total?: number
  /** Seconds that the stage will still take if it goes on as until now; absent where that is not known. */
  readonly left?: number
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

/** The same without progress: work whose steps another stage tells of. */
export function withoutProgress({ signal }: WorkOptions): WorkOptions {
  return signal === undefined ? {} : { signal }
}

/** Milliseconds of a stage before its end is told: the first steps compile programs. */
const SETTLING_MS = 200

/**
 * Tells progress with the time that is left: by the share of the stage that is done, in the time since it began. One
 * function for one call, as a stage begins with its first report.
 */
export function withTimeLeft(onProgress: (progress: Progress) => void,
  now: (() => number) | undefined = clock): (progress: Progress) => void {
  let began: { readonly stage: string, readonly at: number, readonly done: number, readonly last: number } | undefined
  const start = now?.() ?? 0
  return progress => {
    const { stage, done, total } = progress
    const at = now?.()
    // A stage that counts anew (another batch of a stream, another fit within) is another stage.
    if (at !== undefined && (began?.stage !== stage || done < began.last)) {
      began = { stage, at: began === undefined ? start : at, done: began === undefined ? 0 : done, last: done }
    }
    if (at === undefined || began === undefined || total === undefined || total === 0) {
      onProgress(progress)
      return
    }
    began = { ...began, last: done }
    const elapsed = at - began.at
    const made = done - began.done
    onProgress(elapsed < SETTLING_MS || made <= 0
      ? progress
      : { ...progress, left: elapsed / 1000 * (total - done) / made })
  }
}

/** Seconds of a stage from which on its begin is told, with what it is expected to take. */
const LONG_SECONDS = 1

/**
 * Tells that a stage of long work begins, and how long it is expected to take: its first batch may be seconds away.
 * @param multiplications of each thread, at the measured rate: counted for who listens, as that takes milliseconds
 */
export function tellExpected({ onProgress }: WorkOptions, stage: Progress['stage'], total: number,
  multiplications: () => number): void {
  const expected = onProgress === undefined ? 0 : multiplications()
  if (onProgress === undefined || expected < LONG_SECONDS * LEAST_RATE) return
  const left = expected / multiplicationRate()
  if (left > LONG_SECONDS) onProgress({ stage, done: 0, total, left })
}

/**
 * Tells which share of a part of a stage is done, 0 to 1; negative where that is not known. The part goes from one
 * percentage of the stage to another.
 */
export function shareReporter({ onProgress }: WorkOptions, stage: Progress['stage'], from = 0,
  to = 100): (share: number) => void {
  let told = -1
  return share => {
    const done = Math.floor(from + (to - from) * Math.min(1, share))
    if (share < 0 || done <= told) return
    told = done
    onProgress?.({ stage, done, total: 100 })
  }
}

/** Of a search that ends when it has converged, the first round takes so much: it starts from nothing. */
const FIRST_ROUND = 0.4

/** The share of such a search that is done after some rounds, if it needs as many as usual, or one more than these. */
export function shareOfRounds(rounds: number, usual: number): number {
  return rounds === 0 ? 0 : FIRST_ROUND + (1 - FIRST_ROUND) * (rounds - 1) / Math.max(usual - 1, rounds)
}

/** "about 12 s left", or nothing where it is not known. */
export function timeLeft({ left }: Progress): string {
  return left === undefined ? '' : `about ${formatSeconds(left)} left`
}

/** Seconds in the unit that suits them. */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${seconds < 10 ? Number(seconds.toPrecision(1)) : Math.round(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Number((seconds / 3600).toPrecision(2))} h`
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
