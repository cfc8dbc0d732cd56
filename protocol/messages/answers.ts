/** @file The answers to requests: results, and errors as they cross the wire. */
import { ERROR_CODES, type ErrorCode, type ErrorData, LaplaceError } from '../../core/errors/errors.js'
import { inLanguage, type Language } from '../../core/errors/option-names.js'
import { isMap } from '../frames/decoded-map.js'
import type { WireMap, WireValue } from '../frames/encode.js'

/** A successful answer. */
export function result(id: number, ok: WireMap): WireMap {
  return { t: 'res', id, ok }
}

/** A failed answer. Errors that are not ours are faults of this library. */
export function failure(id: number, error: unknown, language: Language = 'node'): WireMap {
  const err = describeError(error)
  return { t: 'res', id, err: { ...err, message: inLanguage(String(err['message']), language) } }
}

/** An answer whose notes, its own and those of a summary, name options as a language does. */
export function notesIn(ok: WireMap, language: Language): WireMap {
  const translated = (map: WireMap): WireMap => {
    const notes = map['notes']
    return Array.isArray(notes) ? { ...map, notes: notes.map(note => inLanguage(String(note), language)) } : map
  }
  const summary = ok['summary']
  return language === 'node'
    ? ok
    : { ...translated(ok), ...(isMap(summary) ? { summary: translated(summary as WireMap) } : {}) }
}

/** The `err` of an answer. */
function describeError(error: unknown): WireMap {
  if (error instanceof LaplaceError) return errorMap(error.code, error.message, error.data)
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof RangeError && /allocation|array length|memory/i.test(message)) {
    // What an engine of JavaScript says when an array is too large for the machine.
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
