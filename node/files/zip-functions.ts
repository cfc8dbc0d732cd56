/** @file What Node has for zip archives: the readers run without it, and refuse packed entries then. */
import { crc32, inflateRawSync } from 'node:zlib'

/** Unpacks at most `most` bytes, and checks what was unpacked. */
export const ZIP_FUNCTIONS = {
  inflate: (packed: Uint8Array, most: number): Uint8Array =>
    inflateRawSync(packed, { maxOutputLength: Math.max(1, most) }),
  crc32,
}
