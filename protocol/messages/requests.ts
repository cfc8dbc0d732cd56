/** @file Requests and notes of the client, and how their envelopes are checked. */
import { ProtocolError } from '../../core/errors/errors.js'
import { type DecodedMap, isMap, own } from '../frames/decoded-map.js'

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

/** A message of the client: a request, which is answered, or a note, which is not. */
export type Incoming =
  | { readonly kind: 'request', readonly request: Request }
  | { readonly kind: 'note', readonly note: Note }

/** Largest request id. */
const MAX_ID = 2 ** 32 - 1

/** Longest deadline: what a timer can hold, 24 days. A longer one would make the timer go off at once. */
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
