/**
 * @file One connection, seen from the I/O thread: handshake, routing of requests to the compute threads, answers.
 *
 * Nothing here computes, waits or knows how bytes travel, so that it can be driven with plain function calls.
 */
import { ProtocolError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { decodeMessage } from '../frames/decode.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'
import { MAX_ITEMS } from '../frames/limits.js'
import { failure, result } from '../messages/answers.js'
import { logNote, lostNote } from '../messages/notes.js'
import { idOf, type Note, readMessage, type Request } from '../messages/requests.js'
import { METHODS } from '../methods/method-table.js'
import type { ExitReason } from './compute-thread.js'
import { createHandleTable } from './handles.js'
import { freeHandles, IMMEDIATE_METHODS, methodNames } from './immediate-methods.js'
import { endSession, sendMessage, type SessionOptions, type SessionState } from './session-state.js'
import { submit } from './submit.js'
import { createThreadPool } from './thread-pool.js'
import { lossOf } from './thread-queue.js'

/** One connection. */
export interface Session {
  /** Takes the body of a frame, whose buffer now belongs to the session. */
  receive(body: Uint8Array<ArrayBuffer>): void
  /** Answers a fault of the stream itself, and closes. */
  fail(error: unknown): void
  /** Whether answers wait to be read for so long that no more should be computed. */
  hold(held: boolean): void
  /** Stops all work; nothing is answered any more. */
  end(): void
}

/** Starts a session. */
export function createSession(options: SessionOptions): Session {
  const { limits, startThread, now } = options
  const state: SessionState = {
    options,
    pool: createThreadPool({ limit: limits.workers, threadGrace: limits.threadGrace, start: startThread,
      onExit: (worker, reason) => endThreadHandles(state, worker, reason) }),
    handles: createHandleTable(limits.maxHandles, now),
    underWay: new Set(),
    started: now(),
    clientMaxFrame: limits.maxFrame,
    language: 'node',
    greeted: false,
    ended: false,
    requests: 0,
  }
  return {
    receive(body) {
      if (!state.ended) receive(state, body)
    },
    fail(error) {
      if (!state.ended) failStream(state, error)
    },
    hold: held => {
      state.pool.hold(held)
    },
    end: () => {
      endSession(state)
    },
  }
}

/** Ends the handles that a thread held, and tells the client. @returns their names */
function endThreadHandles(state: SessionState, worker: number, reason: ExitReason): string[] {
  const why = lossOf(reason)
  const lost = state.handles.list().filter(handle => handle.worker === worker).map(({ name }) => name)
  for (const name of lost) state.handles.remove(name, why)
  sendMessage(state, logNote('warning', `A compute thread ended: ${reason.message}.`))
  for (let from = 0; from < lost.length; from += MAX_ITEMS) {
    sendMessage(state, lostNote(lost.slice(from, from + MAX_ITEMS), why))
  }
  return lost
}

/**
 * A fault after which it is not known where the next frame begins: it is answered, to no request, and ends the
 * connection.
 */
function failStream(state: SessionState, error: unknown): void {
  sendMessage(state, failure(0, error))
  close(state, 1)
}

function close(state: SessionState, exitCode: number): void {
  endSession(state)
  state.options.close(exitCode)
}

function receive(state: SessionState, body: Uint8Array<ArrayBuffer>): void {
  let message: DecodedMap
  try {
    message = decodeMessage(body)
  } catch (error) {
    failStream(state, error)
    return
  }
  try {
    const incoming = readMessage(message)
    if (incoming.kind === 'request') handleRequest(state, incoming.request, body.buffer)
    else handleNote(state, incoming.note)
  } catch (error) {
    sendMessage(state, failure(idOf(message), error))
    // A client that cannot shake hands has nothing more to say here.
    if (!state.greeted && own(message, 'method') === 'hello') close(state, 1)
  }
}

function handleRequest(state: SessionState, request: Request, buffer: ArrayBuffer): void {
  const { id, method } = request
  state.requests++
  if (!state.greeted && method !== 'hello') {
    throw new ProtocolError('NOT_INITIALIZED', `The first request must be hello; got '${method.slice(0, 100)}'.`)
  }
  if (state.underWay.has(id)) {
    // Answered to 0: the request that rightly has this id gets an answer of its own.
    sendMessage(state, failure(0, idInUse(id)))
    return
  }
  const immediate = IMMEDIATE_METHODS.get(method)
  if (immediate !== undefined) {
    sendMessage(state, result(id, immediate(state, request)))
    // After the answer: starting a thread takes a moment.
    if (method === 'hello') state.pool.warm()
    if (method === 'shutdown') close(state, 0)
    return
  }
  const entry = METHODS.get(method)
  if (entry === undefined) throw unknownMethod(method)
  submit(state, request, entry.creates, buffer)
}

/** Notes are never answered; unknown ones are passed over. */
function handleNote(state: SessionState, { method, params }: Note): void {
  if (method === 'cancel') state.pool.cancel(idOf(params))
  else if (method === 'free') freeHandles(state, params)
}

function idInUse(id: number): ProtocolError {
  return new ProtocolError('PROTOCOL',
    `A request with id ${id} is under way already; ids may be used again only after the answer.`, { id })
}

function unknownMethod(method: string): ProtocolError {
  const suggestion = nearestWord(method, methodNames())
  return new ProtocolError('UNKNOWN_METHOD', `There is no method '${method.slice(0, 100)}'.` +
    (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { method: method.slice(0, 100),
    ...(suggestion === undefined ? {} : { suggestion }) })
}
