/** @file Reads messages: the scanner first, then the decoder. */
import { Unpackr } from 'msgpackr/unpack'
import { scanMessage } from './scan.js'

/** A decoded map: keys are checked by `own`, never by plain access, because it has Object.prototype. */
export interface DecodedMap { readonly [key: string]: unknown }

// Safe because the scanner has refused every integer that a double cannot hold.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })

/**
 * The message of a frame's body. Bulk data are views of `body`.
 * @throws UntrustedInputError when it is not valid
 */
export function decodeMessage(body: Uint8Array): DecodedMap {
  scanMessage(body)
  return unpackr.unpack(body) as DecodedMap
}

/** Whether a decoded value is a map. */
export function isMap(value: unknown): value is DecodedMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
}

/** A map's own value of a key, undefined when it is not there. */
export function own(map: DecodedMap, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined
}
