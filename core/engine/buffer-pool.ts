/**
 * @file Storage that is reused from node to node: in the arena of the kernels where there is room, else on the
 * JavaScript heap.
 */
import { ResourceError } from '../errors/errors.js'
import { arenaBlock, beginArena } from '../kernels/arena.js'
import type { KernelContext } from '../ops/operator.js'
import type { DType, TensorData } from '../tensor/tensor.js'

const BYTES: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int64: 8, bool: 1 }
/** A free block is taken for a value of at least half its size; small ones always. */
const SMALL = 1024
/** Elements that a typed array holds in every engine. */
const MOST_ELEMENTS = 2 ** 32 - 1

/** A part of a buffer: all of one on the JavaScript heap, or some of the arena's. */
interface Block {
  readonly buffer: ArrayBuffer
  readonly offset: number
  readonly bytes: number
}

/** Bytes of `length` elements. */
export function byteSize(dtype: DType, length: number): number {
  return BYTES[dtype] * length
}

function view(dtype: DType, { buffer, offset }: Block, length: number): TensorData {
  if (dtype === 'float32') return new Float32Array(buffer, offset, length)
  return dtype === 'bool' ? new Uint8Array(buffer, offset, length) : new Float64Array(buffer, offset, length)
}

/** @throws ResourceError OUT_OF_MEMORY when there is no room for so many bytes */
function heapBlock(bytes: number): Block {
  try {
    return { buffer: new ArrayBuffer(bytes), offset: 0, bytes }
  } catch {
    throw tooLarge(bytes)
  }
}

function tooLarge(bytes: number): ResourceError {
  return new ResourceError('OUT_OF_MEMORY',
    `A value of the network needs ${bytes} bytes, which could not be allocated. Use smaller batches.`, { bytes })
}

function newBlock(bytes: number): Block {
  const inArena = arenaBlock(bytes)
  return inArena === undefined ? heapBlock(bytes) : { ...inArena, bytes }
}

function onHeap({ buffer, bytes }: Block): boolean {
  return buffer.byteLength === bytes
}

/** Blocks by where they lie: those of a buffer in the order of their offsets, in which the arena hands them out. */
class BlockIndex {
  private readonly byBuffer = new Map<ArrayBufferLike, Block[]>()

  add(block: Block): void {
    const blocks = this.byBuffer.get(block.buffer)
    if (blocks === undefined) this.byBuffer.set(block.buffer, [block])
    else blocks.push(block)
  }

  /** The block that holds this byte, by bisection. */
  at(buffer: ArrayBufferLike, byte: number): Block | undefined {
    const blocks = this.byBuffer.get(buffer) ?? []
    let [from, to] = [0, blocks.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (blocks[middle].offset <= byte) from = middle + 1
      else to = middle
    }
    if (from === 0) return undefined
    const block = blocks[from - 1]
    return byte < block.offset + block.bytes ? block : undefined
  }

  /** Without the blocks of this buffer. */
  drop(buffer: ArrayBufferLike): void {
    this.byBuffer.delete(buffer)
  }
}

/**
 * Counts the readers of every block that it hands out. A block without readers is free again; views (a reshaped value)
 * keep the block that they look into.
 */
export class BufferPool implements KernelContext {
  /** The largest number of bytes in use at once. */
  peakBytes = 0
  private usedBytes = 0
  /** Blocks without a value, by their size: a search must not pass the many of another one. */
  private free = new Map<number, Block[]>()
  /** Blocks that hold values, and how many of them. */
  private used = new Map<Block, number>()
  private fresh: Block[] = []
  /** All blocks, free or used: a chain of many nodes looks its values up again and again. */
  private blocks = new BlockIndex()

  /** Storage with arbitrary content; it is free again after `settle` unless it is retained. */
  allocate(dtype: DType, length: number): TensorData {
    const bytes = byteSize(dtype, length)
    // A buffer may be longer than any array.
    if (length > MOST_ELEMENTS) throw tooLarge(bytes)
    const block = this.take(bytes) ?? this.another(bytes)
    this.fresh.push(block)
    this.used.set(block, 0)
    this.usedBytes += block.bytes
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes)
    return view(dtype, block, length)
  }

  private another(bytes: number): Block {
    const block = newBlock(bytes)
    this.blocks.add(block)
    return block
  }

  private take(bytes: number): Block | undefined {
    let size = this.free.has(bytes) ? bytes : Infinity
    if (size === Infinity) {
      const most = Math.max(2 * bytes, SMALL)
      for (const other of this.free.keys()) if (other >= bytes && other <= most && other < size) size = other
    }
    const blocks = this.free.get(size)
    if (blocks?.length === 1) this.free.delete(size)
    return blocks?.pop()
  }

  private blockOf({ buffer, byteOffset, length }: TensorData): Block | undefined {
    // An empty value lies where the next one begins, whose block it must not give back.
    if (length === 0) return undefined
    const block = this.blocks.at(buffer, byteOffset)
    return block !== undefined && this.used.has(block) ? block : undefined
  }

  /** One more value lives in this data's block. */
  retain(data: TensorData): void {
    const block = this.blockOf(data)
    if (block !== undefined) this.used.set(block, (this.used.get(block) ?? 0) + 1)
  }

  /** One value less lives in this data's block. */
  release(data: TensorData): void {
    const block = this.blockOf(data)
    const readers = block && this.used.get(block)
    if (block === undefined || readers === undefined) return
    if (readers > 1) this.used.set(block, readers - 1)
    else this.recycle(block)
  }

  /** After a node: storage that it asked for and did not return is free again. */
  settle(): void {
    for (const block of this.fresh) if (this.used.get(block) === 0) this.recycle(block)
    this.fresh = []
  }

  private recycle(block: Block): void {
    this.used.delete(block)
    this.usedBytes -= block.bytes
    const blocks = this.free.get(block.bytes)
    if (blocks === undefined) this.free.set(block.bytes, [block])
    else blocks.push(block)
  }

  /** Data that the caller may keep: the array itself when nothing else lives in its buffer, else a copy. */
  handOver(data: TensorData): TensorData {
    const block = this.blockOf(data)
    if (block === undefined || !onHeap(block) || data.byteLength !== block.bytes || this.used.get(block) !== 1) {
      return data.slice()
    }
    this.used.delete(block)
    this.blocks.drop(block.buffer)
    this.usedBytes -= block.bytes
    return data
  }

  /** Before a run: nothing is in use, and what lived in the arena is gone. */
  beginRun(): void {
    beginArena()
    this.free = new Map()
    this.used = new Map()
    this.blocks = new BlockIndex()
    this.fresh = []
    this.usedBytes = 0
  }

  clear(): void {
    this.free = new Map()
    this.used = new Map()
    this.blocks = new BlockIndex()
  }
}
