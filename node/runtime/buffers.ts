/** @file The memory of large arrays within plain data, which is moved to another thread instead of copied. */

/** Bytes from which on moving an array is worth more than copying it. */
const LARGE = 1 << 16

/** The buffers of large arrays in a value, whatever objects and maps they lie in. */
export function largeBuffers(value: unknown): ArrayBuffer[] {
  const seen = new Set<object>()
  const found = new Set<ArrayBuffer>()
  const visit = (item: unknown): void => {
    if (typeof item !== 'object' || item === null || seen.has(item)) return
    seen.add(item)
    if (ArrayBuffer.isView(item)) {
      // A view of something larger, as the kernels' memory is, must not take it away.
      const { buffer, byteLength } = item
      if (buffer instanceof ArrayBuffer && byteLength >= LARGE && byteLength === buffer.byteLength) found.add(buffer)
      return
    }
    if (item instanceof Map || item instanceof Set) { for (const entry of item) visit(entry) }
    else for (const entry of Object.values(item)) visit(entry)
  }
  visit(value)
  return [...found]
}
