/** @file Reads messages: the scanner first, then the decoder. */
import { Unpackr } from 'msgpackr/unpack'
import type { DecodedMap } from './decoded-map.js'
import { scanMessage } from './scan.js'

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
