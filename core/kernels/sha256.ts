/** @file SHA-256: in plain JavaScript, or as the host has it, which takes a tenth of the time. */
import { sha256 as plain } from '@noble/hashes/sha2.js'

/** A hash that takes its bytes in parts. */
export interface Hash {
  update(bytes: Uint8Array): unknown
  /** The 32 bytes; the hash is not used after. */
  digest(): Uint8Array
}

let create: () => Hash = () => plain.create()

/** Has a host's own SHA-256 used from now on. */
export function useSha256(host: () => Hash): void {
  create = host
}

/** SHA-256 of what it will be given. */
export function createSha256(): Hash {
  return create()
}

/** SHA-256 of some bytes: 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  const hash = create()
  hash.update(bytes)
  return hash.digest()
}
