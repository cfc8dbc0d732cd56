/** @file What Node has for readers of files: they run without it, and refuse more, or can be held up, then. */
import { crc32, inflateRawSync } from 'node:zlib'
import { readHdf5Apart } from './hdf5-apart.js'

/** Unpacks at most `most` bytes, and checks what was unpacked. */
export const ZIP_FUNCTIONS = {
  inflate: (packed: Uint8Array, most: number): Uint8Array =>
    inflateRawSync(packed, { maxOutputLength: Math.max(1, most) }),
  crc32,
}

/** All that readers of networks take of a host. */
export const READING_FUNCTIONS = { ...ZIP_FUNCTIONS, hdf5: readHdf5Apart }
