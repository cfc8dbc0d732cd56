/** @file Storage that is reused from node to node and from batch to batch. */
import { ResourceError } from '../errors.js'
import type { KernelContext } from '../ops/operator.js'
import type { DType, TensorData } from '../tensor.js'

const BYTES: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int64: 8, bool: 1 }
/** A free buffer is taken for a value of at least half its size; small ones always. */
const SMALL = 1024

interface Buffer { readonly storage: ArrayBuffer, readonly lastRun: number }

/** Bytes of `length` elements. */
export function byteSize(dtype: DType, length: number): number { return BYTES[dtype] * length }

function view(dtype: DType, storage: ArrayBuffer, length: number): TensorData {
  if (dtype === 'float32') return new Float32Array(storage, 0, length)
  return dtype === 'bool' ? new Uint8Array(storage, 0, length) : new Float64Array(storage, 0, length)
}

/** @throws ResourceError OUT_OF_MEMORY when there is no room for so many bytes */
function newStorage(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes)
  } catch {
    throw new ResourceError('OUT_OF_MEMORY', `A value of the network needs ${bytes} bytes, which could not be allocated. Use smaller batches.`, { bytes })
  }
}

/**
 * Counts the readers of every buffer that it hands out. A buffer without readers is free again; views (a reshaped
 * value) keep the buffer that they look into.
 */
export class BufferPool implements KernelContext {
  /** The largest number of bytes in use at once. */
  peakBytes = 0
  private usedBytes = 0
  private run = 0
  private free: Buffer[] = []
  private readonly readers = new Map<ArrayBufferLike, number>()
  private fresh: ArrayBuffer[] = []

  /** Storage with arbitrary content; it is free again after `settle` unless it is retained. */
  allocate(dtype: DType, length: number): TensorData {
    const bytes = byteSize(dtype, length)
    const storage = this.take(bytes) ?? newStorage(bytes)
    this.fresh.push(storage)
    this.readers.set(storage, 0)
    this.usedBytes += storage.byteLength
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes)
    return view(dtype, storage, length)
  }

  private take(bytes: number): ArrayBuffer | undefined {
    let best = -1
    let size = Math.max(2 * bytes, SMALL)
    for (let i = 0; i < this.free.length; i++) {
      const length = this.free[i].storage.byteLength
      if (length < bytes || length > size) continue
      best = i
      size = length
      if (length === bytes) break
    }
    if (best < 0) return undefined
    const last = this.free.pop()
    const found = best === this.free.length ? last : this.free[best]
    if (last !== undefined && best < this.free.length) this.free[best] = last
    return found?.storage
  }

  /** One more value lives in this data's buffer. */
  retain(data: TensorData): void {
    const count = this.readers.get(data.buffer)
    if (count !== undefined) this.readers.set(data.buffer, count + 1)
  }

  /** One value less lives in this data's buffer. */
  release(data: TensorData): void {
    const count = this.readers.get(data.buffer)
    if (count === undefined) return
    if (count > 1) this.readers.set(data.buffer, count - 1)
    else this.recycle(data.buffer as ArrayBuffer)
  }

  /** After a node: storage that it asked for and did not return is free again. */
  settle(): void {
    for (const storage of this.fresh) if (this.readers.get(storage) === 0) this.recycle(storage)
    this.fresh = []
  }

  private recycle(storage: ArrayBuffer): void {
    this.readers.delete(storage)
    this.usedBytes -= storage.byteLength
    this.free.push({ storage, lastRun: this.run })
  }

  /** Data that the caller may keep: the buffer itself when nothing else lives in it, else a copy. */
  handOver(data: TensorData): TensorData {
    const exact = data.byteLength === data.buffer.byteLength
    if (!exact || this.readers.get(data.buffer) !== 1) return data.slice()
    this.readers.delete(data.buffer)
    this.usedBytes -= data.buffer.byteLength
    return data
  }

  /** Before a run: nothing is in use. Buffers that the run before did not need are given up. */
  beginRun(): void {
    this.free = this.free.filter(buffer => buffer.lastRun === this.run)
    this.run++
    this.readers.clear()
    this.fresh = []
    this.usedBytes = 0
  }

  clear(): void {
    this.free = []
    this.readers.clear()
  }
}
