/** @file The messages: what they hold, how requests are checked and answers are made. */
import { ERROR_CODES, type ErrorCode, type ErrorData, LaplaceError, ProtocolError } from '../../core/errors/errors.js'
import { type DecodedMap, isMap, own } from '../frames/decoded-map.js'
import type { WireMap, WireValue } from '../frames/encode.js'

/** A checked request. */
export interface Request {
  readonly id: number
  readonly method: string
  readonly params: DecodedMap
  /** Milliseconds from receipt. */
  readonly deadline: number | undefined
  /** Whether the client wants progress notes. */
  readonly progress: boolean
}

/** A note from the client. */
export interface Note {
  readonly method: string
  readonly params: DecodedMap
}

/** Where long work stands, as it crosses the wire. */
export interface ProgressReport {
  readonly stage: string
  readonly done: number
  readonly total: number
  readonly message: string
}

export type Incoming = { readonly kind: 'request', readonly request: Request } | { readonly kind: 'note',
  readonly note: Note }

/** Largest request id. */
const MAX_ID = 2 ** 32 - 1
/** Longest deadline: what a timer can hold, 24 days. */
const MAX_DEADLINE = 2 ** 31 - 1

/** The id of a message that may be malformed, 0 when it has none: errors are answered to it. */
export function idOf(message: DecodedMap): number {
  const id = own(message, 'id')
  return Number.isSafeInteger(id) && Number(id) > 0 && Number(id) <= MAX_ID ? Number(id) : 0
}

/**
 * Checks the envelope of a message.
 * @throws ProtocolError PROTOCOL naming the field
 */
export function readMessage(message: DecodedMap): Incoming {
  const type = own(message, 't')
  const method = own(message, 'method')
  const params = own(message, 'params') ?? {}
  if (type !== 'req' && type !== 'note') throw wrong('t', "'req' or 'note'", type)
  if (typeof method !== 'string') throw wrong('method', 'text', method)
  if (!isMap(params)) throw wrong('params', 'a map', params)
  if (type === 'note') return { kind: 'note', note: { method, params } }
  const id = idOf(message)
  if (id === 0) throw wrong('id', `an integer from 1 to ${MAX_ID}`, own(message, 'id'))
  const deadline = own(message, 'deadline') ?? undefined
  if (deadline !== undefined && !(typeof deadline === 'number' && deadline > 0 && deadline <= MAX_DEADLINE)) {
    throw wrong('deadline', 'a number of milliseconds above 0', deadline)
  }
  return { kind: 'request', request: { id, method, params, deadline, progress: own(message, 'progress') === true } }
}

function wrong(field: string, expected: string, actual: unknown): ProtocolError {
  const found = typeof actual === 'string'
    ? `'${actual.slice(0, 100)}'`
    : typeof actual === 'number'
    ? String(actual)
    : actual === undefined
    ? 'nothing'
    : typeof actual
  return new ProtocolError('PROTOCOL', `A message's field '${field}' must be ${expected}; found ${found}.`, { field,
    expected, actual: found })
}

/** A successful answer. */
export function result(id: number, ok: WireMap): WireMap {
  return { t: 'res', id, ok }
}

/** A failed answer. Errors that are not ours are faults of this library. */
export function failure(id: number, error: unknown): WireMap {
  return { t: 'res', id, err: describeError(error) }
}

/** The `err` of an answer. */
export function describeError(error: unknown): WireMap {
  if (error instanceof LaplaceError) return errorMap(error.code, error.message, error.data)
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof RangeError && /allocation|array length|memory/i.test(message)) {
    return errorMap('OUT_OF_MEMORY', `There is not enough memory for this work (${message}).`, {})
  }
  return errorMap('INTERNAL', `An unexpected fault: ${message}. Please report it.`, {})
}

function errorMap(name: ErrorCode, message: string, data: ErrorData): WireMap {
  return { code: ERROR_CODES[name].number, name, message, data: plainData(data), retryable: name === 'BUSY' }
}

function plainData(data: ErrorData): WireMap {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, plainValue(value, 0)]))
}

/** Values of error data that the wire can carry; anything else as text. */
function plainValue(value: unknown, depth: number): WireValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return value
  if (depth > 4) return '...'
  if (Array.isArray(value)) return value.slice(0, 1000).map(item => plainValue(item, depth + 1))
  if (isMap(value)) {
    return Object.fromEntries(
      Object.entries(value).slice(0, 100).map(([key, item]) => [key, plainValue(item, depth + 1)]),
    )
  }
  return String(value).slice(0, 1000)
}

/** A progress note. */
export function progressNote(id: number, { stage, done, total, message }: ProgressReport): WireMap {
  return { t: 'note', method: 'progress', params: { id, stage, done, total, message } }
}

/** A note for the user's log. */
export function logNote(level: 'info' | 'warning', message: string): WireMap {
  return { t: 'note', method: 'log', params: { level, message } }
}
