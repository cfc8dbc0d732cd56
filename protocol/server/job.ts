/** @file A request as work for a compute thread, and how that work ends. */
import type { Language } from '../../core/errors/option-names.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { ProgressReport } from '../messages/notes.js'

/** Work for a compute thread. */
export interface Job {
  readonly id: number
  readonly method: string
  readonly params: DecodedMap
  /**
   * The buffer that the views in `params` look into; it moves to the thread, and nothing can be read from them then.
   */
  readonly buffer: ArrayBuffer
  /** The handles that it names; without any of them it cannot be done. */
  readonly uses: readonly string[]
  /** The name under which the thread keeps what the job makes. */
  readonly creates: string | undefined
  /** The language that the answer is read in. */
  readonly language: Language
  /** Milliseconds from receipt. */
  readonly deadline: number | undefined
  /** Whether the client wants progress notes. */
  readonly progress: boolean
  /** Called exactly once. */
  readonly done: (outcome: Outcome) => void
  readonly onProgress: (report: ProgressReport) => void
}

/** The end of a job: an encoded answer, or an error. `dropped`: handles that ended with it. */
export type Outcome =
  | { readonly frame: Uint8Array, readonly failed: boolean, readonly dropped: readonly string[] }
  | { readonly error: unknown, readonly dropped: readonly string[] }
