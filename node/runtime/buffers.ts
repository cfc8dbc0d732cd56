/** @file Plain data whose large arrays are moved to another thread instead of copied on the way. */
import { breathe } from '../../core/budget/progress.js'

/** Bytes from which on moving an array is worth more than copying it. */
const LARGE = 1 << 16
/** Bytes that are copied between two turns of the event loop: some hundredths of a second. */
const AT_ONCE = 64 << 20

type TypedArray = Float64Array | Float32Array | Int32Array | Uint8Array

/** The buffers of a value's large arrays, in whatever objects and maps; it is of no use once they have moved. */
export function largeBuffers(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  withArrays(value, array => {
    // A view of something larger, as the kernels' memory is, must not take it away.
    const { buffer, byteLength } = array
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) found.add(buffer)
    return array
  })
  return [...found]
}

/** A copy of a value that shares no large array with it, made while the event loop turns; and their buffers. */
export async function movableCopy<V>(value: V): Promise<{ readonly value: V, readonly transfer: ArrayBuffer[] }> {
  const copies = new Map<TypedArray, TypedArray>()
  withArrays(value, array => {
    copies.set(array, array)
    return array
  })
  let copied = 0
  for (const array of copies.keys()) {
    if ((copied += array.byteLength) > AT_ONCE) {
      copied = array.byteLength
      await breathe()
    }
    // A Buffer's own `slice` would be a view of memory that others use.
    copies.set(array, array instanceof Uint8Array ? new Uint8Array(array) : array.slice())
  }
  return { value: withArrays(value, array => copies.get(array) ?? array) as V,
    transfer: [...copies.values()].map(({ buffer }) => buffer as ArrayBuffer) }
}

/** A copy whose large arrays lie in memory that threads share: one is enough for all that it is sent to. */
export function sharedCopy<V>(value: V): V {
  const copies = new Map<TypedArray, TypedArray>()
  return withArrays(value, array => {
    const known = copies.get(array)
    if (known !== undefined) return known
    const Numbers = array.constructor as new(buffer: SharedArrayBuffer) => TypedArray
    const copy = new Numbers(new SharedArrayBuffer(array.byteLength))
    copy.set(array)
    copies.set(array, copy)
    return copy
  }) as V
}

/** The value with other large arrays in its objects, lists and maps; what stands in it twice does so again. */
function withArrays(value: unknown, replace: (array: TypedArray) => TypedArray): unknown {
  const seen = new Map<object, unknown>()
  const visit = (item: unknown): unknown => {
    if (typeof item !== 'object' || item === null) return item
    if (seen.has(item)) return seen.get(item)
    if (ArrayBuffer.isView(item)) return item.byteLength < LARGE ? item : replace(item as TypedArray)
    const keep = <C>(copy: C): C => {
      seen.set(item, copy)
      return copy
    }
    if (Array.isArray(item)) {
      const copy = keep([] as unknown[])
      for (const entry of item) copy.push(visit(entry))
      return copy
    }
    if (item instanceof Map) {
      const copy = keep(new Map<unknown, unknown>())
      for (const [key, entry] of item) copy.set(key, visit(entry))
      return copy
    }
    if (Object.getPrototypeOf(item) !== Object.prototype) return item
    const copy = keep({} as Record<string, unknown>)
    for (const [key, entry] of Object.entries(item)) copy[key] = visit(entry)
    return copy
  }
  return visit(value)
}
