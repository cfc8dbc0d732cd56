/**
 * @file The numbers of strided tensors: views of the file where they lie one behind the other, else copies in row-major
 * order.
 */
import { sizeOf } from '../../core/tensor/tensor.js'
import { elementBytes, type FileTensor } from '../tensors/file-tensor.js'
import { refuseTorch } from './refusal.js'
import type { TorchStorage, TorchTensor } from './tensors.js'

/** What reading the tensors of one file has cost so far. */
export interface GatherBudget {
  /**
   * Bytes that distinct tensors may still take: a file of repeated and overlapping views must not grow without bound.
   */
  left: number
  readonly limit: number
  /** Tensors that have been read, by storage and view: tied weights are one array. */
  readonly known: Map<TorchStorage, Map<string, FileTensor>>
}

/**
 * Tensors take at most 8 times the bytes of the file (1 MiB for small files, in which one number may be expanded to
 * many).
 */
export function gatherBudget(fileBytes: number): GatherBudget {
  const limit = Math.max(8 * fileBytes, 2 ** 20)
  return { left: limit, limit, known: new Map() }
}

/**
 * Reads a tensor.
 * @throws UntrustedInputError when the tensors of the file together are too large for it, or the storage is damaged
 */
export function gather(tensor: TorchTensor, name: string, budget: GatherBudget): FileTensor {
  const { storage, dtype, offset, size, stride } = tensor
  let views = budget.known.get(storage)
  if (views === undefined) budget.known.set(storage, views = new Map())
  const key = `${dtype};${offset};${size.join()};${stride.join()}`
  const known = views.get(key)
  if (known !== undefined) return known
  const width = elementBytes(dtype)
  const bytes = sizeOf(size) * width
  budget.left -= bytes
  if (budget.left < 0) {
    refuseTorch(
      `holds tensors that take more than ${budget.limit} bytes together (at '${
        name.slice(0, 100)
      }'): parts of the file are used many times`,
      { limit: budget.limit, path: name },
    )
  }
  const source = storage.load()
  const read: FileTensor = {
    dtype,
    shape: size,
    bytes: isContiguous(size, stride)
      ? source.subarray(offset * width, offset * width + bytes)
      : strided(source, tensor, width),
  }
  views.set(key, read)
  return read
}

/** Whether the elements lie in row-major order without gaps; the stride of an axis of length 1 means nothing. */
function isContiguous(size: readonly number[], stride: readonly number[]): boolean {
  let expected = 1
  for (let axis = size.length - 1; axis >= 0; axis--) {
    if (size[axis] === 0) return true
    if (size[axis] !== 1 && stride[axis] !== expected) return false
    expected *= size[axis]
  }
  return true
}

/** Copies the elements in row-major order. */
function strided(source: Uint8Array, { offset, size, stride }: TorchTensor, width: number): Uint8Array {
  const result = new Uint8Array(sizeOf(size) * width)
  const [from, to] = [words(source, width), words(result, width)]
  // Elements of 8 bytes move as two words: a double could lose bits of a NaN.
  const unit = width === 8 ? 2 : 1
  const inner = size[size.length - 1] * unit
  const step = stride[stride.length - 1] * unit
  const index = new Array<number>(size.length).fill(0)
  let start = offset * unit
  for (let at = 0; at < to.length; at += inner) {
    for (let i = 0, k = start; i < inner; i += unit, k += step) {
      to[at + i] = from[k]
      if (unit === 2) to[at + i + 1] = from[k + 1]
    }
    // The next row: count up from the last axis but one.
    for (let axis = size.length - 2; axis >= 0; axis--) {
      start += stride[axis] * unit
      if (++index[axis] < size[axis]) break
      start -= size[axis] * stride[axis] * unit
      index[axis] = 0
    }
  }
  return result
}

/** Bytes as words of a width, or of half of it for the widest. */
function words(bytes: Uint8Array, width: number): Uint8Array | Uint16Array | Uint32Array {
  const { buffer, byteOffset, length } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes)
  switch (width) {
    case 1:
      return bytes
    case 2:
      return new Uint16Array(buffer, byteOffset, Math.floor(length / 2))
    default:
      return new Uint32Array(buffer, byteOffset, Math.floor(length / 4))
  }
}

/** A copy with the bytes of each element turned round, for files of big-endian machines. */
export function swapBytes(bytes: Uint8Array, width: number): Uint8Array {
  const swapped = new Uint8Array(bytes.length)
  for (let at = 0; at + width <= bytes.length; at += width) {
    for (let i = 0; i < width; i++) swapped[at + i] = bytes[at + width - 1 - i]
  }
  return swapped
}
