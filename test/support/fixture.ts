/** @file The reference files. */
import { readFileSync } from 'node:fs'

/** The bytes of a file below test/fixtures. */
export function fixture(path: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(`../fixtures/${path}`, import.meta.url)))
}
