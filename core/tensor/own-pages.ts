/**
 * @file Large arrays that go back to the system when they are given up. An allocator keeps what is smaller than 32 MiB
 * in a heap of its own (glibc, once such an array was freed), where holes between others stay resident.
 */

/** From here on an array has its own pages in any case; holes of less than the other are soon filled. */
const [OWN_BYTES, LEAST_BYTES] = [(32 << 20) + 4096, 4 << 20]

/**
 * An array of zeros for numbers that stay in this thread: it is the first part of a buffer that may be larger, whose
 * other pages take no memory as nobody writes to them. A copy of the whole buffer would.
 */
export function withOwnPages(length: number): Float64Array {
  const bytes = 8 * length
  return bytes < LEAST_BYTES || bytes >= OWN_BYTES
    ? new Float64Array(length)
    : new Float64Array(new ArrayBuffer(OWN_BYTES), 0, length)
}
