/** @file JSON on stdout: tensors as nested lists, typed arrays as lists. */
import type { Tensor } from '../../core/tensor/tensor.js'

/** A tensor as nested arrays. */
export function nested(value: Tensor): unknown {
  const at = (axis: number, offset: number, size: number): unknown => {
    if (axis === value.shape.length) return value.data[offset]
    const step = size / value.shape[axis]
    return Array.from({ length: value.shape[axis] }, (_, i) => at(axis + 1, offset + i * step, step))
  }
  return at(0, 0, value.data.length)
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value && 'data' in value
}

/** One line of JSON, ended; numbers that JSON cannot hold become null. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => (isTensor(item)
    ? nested(item)
    : ArrayBuffer.isView(item) && !(item instanceof DataView)
    ? Array.from(item as unknown as ArrayLike<number>)
    : item)) + '\n'
}
