/** @file A fast fingerprint of weights, to see that they are others than before: not one that withstands an attack. */

/** The multipliers of the four sums: odd, so that none forgets a bit (those of xxHash). */
const [FIRST, SECOND, THIRD, FOURTH] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f]

/**
 * 128 bits of some bytes, as text: four sums h = mixed((h xor w) m) modulo 2^32 that take every fourth word w each.
 * Another word changes its sum for certain, whatever the words are; several that change together agree by chance, once
 * in 2^32. Reading the words is most of its time, a quarter of SHA-256's.
 */
export function weightsFingerprint(bytes: Uint8Array): string {
  const whole = bytes.byteLength - bytes.byteLength % 4
  const words = bytes.byteOffset % 4 === 0
    ? new Int32Array(bytes.buffer, bytes.byteOffset, whole / 4)
    : new Int32Array(bytes.slice(0, whole).buffer)
  let [a, b, c, d] = [1, 2, 3, 4]
  const even = words.length - words.length % 4
  for (let i = 0; i < even; i += 4) {
    a = mixed(Math.imul(a ^ words[i], FIRST))
    b = mixed(Math.imul(b ^ words[i + 1], SECOND))
    c = mixed(Math.imul(c ^ words[i + 2], THIRD))
    d = mixed(Math.imul(d ^ words[i + 3], FOURTH))
  }
  for (let i = even; i < words.length; i++) a = mixed(Math.imul(a ^ words[i], FIRST))
  for (let i = whole; i < bytes.byteLength; i++) a = mixed(Math.imul(a ^ bytes[i], FIRST))
  return [a, b, c, d].join(' ')
}

/** Upper bits to lower ones: a product carries bits upwards only, and two changed signs would undo each other. */
function mixed(h: number): number {
  return h ^ (h >>> 15)
}
