/** @file The methods of a compute thread as one object, and what a running method is given. */
import type { CancelSignal } from '../../core/budget/progress.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import type { ProgressReport } from '../messages/notes.js'

/** What a running method is given. */
export interface MethodContext {
  /** The handle under which to keep what the method makes. */
  readonly creates: string | undefined
  readonly signal: CancelSignal
  /** Told of progress; undefined where nobody has asked for it. */
  readonly onProgress: ((report: ProgressReport) => void) | undefined
  /** Tells that a handle has ended with this method. */
  readonly drop: (handle: string) => void
}

/** The methods of a thread, with the state behind its handles. */
export interface MethodSet {
  run(method: string, params: DecodedMap, context: MethodContext): Promise<WireMap>
  /** Forgets what a handle names; nothing when there is none. */
  free(handle: string): void
}
