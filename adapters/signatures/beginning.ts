/** @file What a file begins with: bytes at an offset, or text. */

/** Whether certain bytes stand at an offset. */
export function beginsWith(bytes: Uint8Array, offset: number, signature: readonly number[] | string): boolean {
  const wanted = typeof signature === 'string' ? Array.from(signature, char => char.charCodeAt(0)) : signature
  return wanted.every((byte, i) => bytes[offset + i] === byte)
}

/** The first 64 KiB, a character a byte. */
export function beginning(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes.subarray(0, 1 << 16))
}
