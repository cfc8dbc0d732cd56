/** @file The products of all pairs of a row's numbers, some rows at a time. */
import { arenaArray } from '../kernels/arena.js'
import { packedLength, packedProducts, type RealArray } from '../kernels/linear-algebra.js'

/** Numbers of one block: enough rows that adding up the results costs little beside the products. */
const BLOCK_NUMBERS = 1 << 21

/**
 * Visits the packed products of the rows of x, N x width: `count` x packedLength(width), from row `from` on. They are
 * those of this visit alone.
 */
export function eachPackedRows(width: number, x: RealArray, rows: number,
  visit: (products: RealArray, from: number, count: number) => void): void {
  const length = packedLength(width)
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / length))
  const products = arenaArray(x, Math.min(step, rows) * length)
  for (let from = 0; from < rows; from += step) {
    const count = Math.min(step, rows - from)
    const part = products.subarray(0, count * length)
    packedProducts(width, x.subarray(from * width, (from + count) * width), part)
    visit(part, from, count)
  }
}
