/** @file Copies of blocks between matrices. */
import type { RealArray } from './plain.js'

/** Copies a block of rows between two matrices of one type; offsets and strides in numbers. */
export function copyBlock(source: RealArray, from: number, fromStride: number, target: RealArray, to: number,
  toStride: number, rows: number, columns: number): void {
  if (fromStride === columns && toStride === columns) {
    target.set(source.subarray(from, from + rows * columns), to)
    return
  }
  for (let i = 0; i < rows; i++) {
    target.set(source.subarray(from + i * fromStride, from + i * fromStride + columns), to + i * toStride)
  }
}
