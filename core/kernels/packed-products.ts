/** @file The products of all pairs of numbers of a row. */
import { inArena } from './arena.js'
import type { RealArray } from './plain.js'

/** Entries of the upper triangle of an n x n matrix, row by row. */
export function packedLength(n: number): number {
  return n * (n + 1) / 2
}

/** For each row of n numbers the products x_i x_j, i <= j: rows x packedLength(n); x and out have one type. */
export function packedProducts(n: number, x: RealArray, out: RealArray): void {
  const done = inArena([{ array: x, use: 'read' }, { array: out, use: 'write' }], (kernel, from, to) => {
    ;(out.BYTES_PER_ELEMENT === 8 ? kernel.packedProducts64 : kernel.packedProducts32)(x.length / n, n, from, to)
  })
  if (done) return
  for (let row = 0, at = 0; row < x.length; row += n) {
    for (let i = row; i < row + n; i++) for (let j = i; j < row + n; j++) out[at++] = x[i] * x[j]
  }
}
