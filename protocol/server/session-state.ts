/** @file What a session is started with, what it knows, and how it sends. */
import { ProtocolError } from '../../core/errors/errors.js'
import type { Language } from '../../core/errors/option-names.js'
import { encodeFrame, type WireMap } from '../frames/encode.js'
import { HEADER_BYTES } from '../frames/frame.js'
import { failure } from '../messages/answers.js'
import type { StartThread } from './compute-thread.js'
import type { HandleTable } from './handles.js'
import type { ThreadPool } from './thread-pool.js'

/** The bounds of one connection. */
export interface SessionLimits {
  /** Bytes of a frame's body. */
  readonly maxFrame: number
  /** Requests under way before BUSY. */
  readonly maxInFlight: number
  /** Handles alive at once. */
  readonly maxHandles: number
  /** Compute threads. */
  readonly workers: number
  /** Milliseconds that a compute thread may work on after its request was cancelled or ran out of time. */
  readonly threadGrace: number
}

/** What a session is started with. */
export interface SessionOptions {
  readonly limits: SessionLimits
  readonly version: string
  readonly buildHash: string
  /** What `hello.token` must be; undefined: no token is asked for. */
  readonly token: string | undefined
  readonly startThread: StartThread
  /** Takes a whole frame. */
  readonly send: (frame: Uint8Array) => void
  /** Ends the connection after what was sent has been read. */
  readonly close: (exitCode: number) => void
  /** Is told the client's process id. */
  readonly onClient?: (pid: number) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/** What a session knows. */
export interface SessionState {
  readonly options: SessionOptions
  readonly pool: ThreadPool
  readonly handles: HandleTable
  /** Ids of requests that have not been answered. */
  readonly underWay: Set<number>
  /** When the session began. */
  readonly started: number
  /** Longest body that the client takes. */
  clientMaxFrame: number
  /** The language that the client's users read. */
  language: Language
  /** Whether hello has been said. */
  greeted: boolean
  ended: boolean
  /** Requests so far. */
  requests: number
}

/** Sends a message, unless the session has ended. */
export function sendMessage({ ended, options }: SessionState, message: WireMap): void {
  if (!ended) options.send(encodeFrame(message))
}

/** Sends an encoded answer, or an error in its place when the client would refuse its length. */
export function sendAnswer(state: SessionState, id: number, frame: Uint8Array): void {
  if (state.ended) return
  const [actual, limit] = [frame.length - HEADER_BYTES, state.clientMaxFrame]
  if (actual <= limit) {
    state.options.send(frame)
    return
  }
  sendMessage(state,
    failure(id,
      new ProtocolError('PROTOCOL', `The answer has ${actual} bytes, and the client takes at most ${limit}. ` +
        'Ask for fewer rows at a time.', { actual, limit })))
}

/** Stops all work; nothing is answered any more. */
export function endSession(state: SessionState): void {
  state.ended = true
  state.pool.close()
}
