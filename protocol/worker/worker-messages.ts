/** @file What the I/O thread and a compute thread say to each other. */
import type { Language } from '../../core/errors/option-names.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { ProgressReport } from '../messages/notes.js'

/** What a compute thread is started with. */
export interface WorkerSetup {
  /** One cell that holds the id of the request to cancel, as a signed number of 32 bits. */
  readonly cancelFlag: SharedArrayBuffer
  readonly readDirectories: readonly string[]
  readonly debug: boolean
}

/** What the I/O thread sends. */
export type ToWorker =
  | { readonly type: 'run', readonly id: number, readonly method: string, readonly params: DecodedMap,
    readonly creates: string | undefined, readonly language: Language, readonly progress: boolean }
  | { readonly type: 'free', readonly handles: readonly string[] }

/** What a compute thread sends. */
export type FromWorker =
  | { readonly type: 'done', readonly id: number, readonly frame: Uint8Array, readonly failed: boolean,
    readonly dropped: readonly string[] }
  | { readonly type: 'progress', readonly id: number, readonly report: ProgressReport }
