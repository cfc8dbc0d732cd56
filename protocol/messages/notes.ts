/** @file Notes to the client: the progress of long work, and the log. */
import type { WireMap } from '../frames/encode.js'

/** Where long work stands, as it crosses the wire. */
export interface ProgressReport {
  readonly stage: string
  readonly done: number
  readonly total: number
  /** What a person may be told beside the counts. */
  readonly message: string
  /** Seconds that the stage will still take, where that is known. */
  readonly left?: number
}

/** A progress note. */
export function progressNote(id: number, { stage, done, total, message, left }: ProgressReport): WireMap {
  return { t: 'note', method: 'progress',
    params: { id, stage, done, total, message, ...(left === undefined ? {} : { left }) } }
}

/** A note that handles have ended without having been freed. */
export function lostNote(handles: readonly string[], reason: string): WireMap {
  return { t: 'note', method: 'lost', params: { handles, reason } }
}

/** A note for the user's log. */
export function logNote(level: 'info' | 'warning', message: string): WireMap {
  return { t: 'note', method: 'log', params: { level, message } }
}
