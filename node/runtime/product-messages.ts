/** @file What a thread that shares its products, and the one that computes parts of them, say to each other. */
import type { ProductPart } from '../../core/kernels/product.js'

/** Cells of the memory that both look at: parts sent, parts computed, whether one failed, if the thread is there. */
export const [SENT, DONE, FAILED, READY] = [0, 1, 2, 3]
export const CELLS = 4

/** A part of a product; the matrices lie one behind the other, without gaps. */
export interface SharedProduct extends Omit<ProductPart, 'a' | 'b' | 'c'> {
  readonly buffer: SharedArrayBuffer
  /** Bytes of a number of A and B, and of C. */
  readonly bytes: 4 | 8
  readonly bytesC: 4 | 8
}

/** The matrices of a part. */
export function matricesOf({ buffer, bytes, bytesC, m, n, k }: Omit<SharedProduct, 'alpha' | 'beta'>) {
  // The types of arrays in shared memory are others, though no kernel sees a difference.
  const memory = buffer as unknown as ArrayBuffer
  const [Numbers, NumbersC] = [bytes === 8 ? Float64Array : Float32Array, bytesC === 8 ? Float64Array : Float32Array]
  const c = new NumbersC(memory, 0, m * n)
  const atA = 8 * Math.ceil(c.byteLength / 8)
  const a = new Numbers(memory, atA, m * k)
  const b = new Numbers(memory, atA + 8 * Math.ceil(a.byteLength / 8), k * n)
  return { a, b, c }
}

/** Bytes that the matrices take. */
export function bytesOf(m: number, n: number, k: number, bytes: number, bytesC: number): number {
  return 8 * (Math.ceil(m * n * bytesC / 8) + Math.ceil(m * k * bytes / 8) + Math.ceil(k * n * bytes / 8))
}
