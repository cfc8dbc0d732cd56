/** @file What a thread that shares its products, and the one that computes parts of them, say to each other. */
import { type Product, SHARED_BYTES } from '../../core/kernels/product.js'

/** Cells of the memory that both look at: parts sent, parts computed, whether one failed, if the thread is there. */
export const [SENT, DONE, FAILED, READY] = [0, 1, 2, 3]
const CELLS = 4

/** What both threads see, as long as they live. */
export interface SharedMemory {
  readonly cells: Int32Array
  readonly numbers: SharedArrayBuffer
}

/** Pages of it are taken when they are first written to. */
export function sharedMemory(): SharedMemory {
  return { cells: new Int32Array(new SharedArrayBuffer(4 * CELLS)), numbers: new SharedArrayBuffer(SHARED_BYTES) }
}

/** A part of a product as one of its own; the matrices lie one behind the other, without gaps. */
export interface SharedProduct extends Omit<Product, 'a' | 'b' | 'c'> {
  /** Bytes of a number of A and B, and of C. */
  readonly bytes: 4 | 8
  readonly bytesC: 4 | 8
}

/** The matrices of a part. */
export function matricesOf(numbers: SharedArrayBuffer, { bytes, bytesC, m, n, k }: SharedProduct) {
  // The types of arrays in shared memory are others, though no kernel sees a difference.
  const memory = numbers as unknown as ArrayBuffer
  const [Numbers, NumbersC] = [bytes === 8 ? Float64Array : Float32Array, bytesC === 8 ? Float64Array : Float32Array]
  const c = new NumbersC(memory, 0, m * n)
  const atA = 8 * Math.ceil(c.byteLength / 8)
  const a = new Numbers(memory, atA, m * k)
  const b = new Numbers(memory, atA + 8 * Math.ceil(a.byteLength / 8), k * n)
  return { a, b, c }
}
