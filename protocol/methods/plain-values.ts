/** @file Plain data as values of the wire. */
import type { WireValue } from '../frames/encode.js'

/** Numbers, words, lists and maps of them as they are; anything else is nil. */
export function plain(value: unknown): WireValue {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
  }
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' ? value : null
}
