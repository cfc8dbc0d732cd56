/** @file Bytes joined from parts. */

export type Part = Uint8Array | readonly number[]

/** The parts behind each other. */
export function joined(parts: readonly Part[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
