/**
 * @file Decoded maps, apart from the decoder: the compute threads, which are sent what has been decoded, need not load
 * it.
 */

/**
 * A decoded map. Read by `own`, never by plain access, because it has Object.prototype: `map['constructor']` would be
 * there in every message.
 */
export interface DecodedMap {
  readonly [key: string]: unknown
}

/** Whether a decoded value is a map. */
export function isMap(value: unknown): value is DecodedMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
}

/** A map's own value of a key, undefined when it is not there. */
export function own(map: DecodedMap, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined
}
