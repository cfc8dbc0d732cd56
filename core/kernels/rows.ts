/**
 * @file Softmax, normalisation and sums of rows, and numbers put in their places, in the arena of the kernels. Each
 * returns false, and nothing is done, where the arrays do not live there.
 */
import { inArena } from './arena.js'
import type { RealArray } from './plain.js'

/** out = softmax of each row of n numbers; out may be x. */
export function softmaxRows(n: number, x: RealArray, out: RealArray): boolean {
  return inArena([{ array: x, use: 'read' }, { array: out, use: 'write' }], (kernel, from, to) => {
    ;(out.BYTES_PER_ELEMENT === 8 ? kernel.softmaxRows64 : kernel.softmaxRows32)(out.length / n, n, from, to)
  })
}

/** out_r = factor times the sum of row r of n numbers, which is added up in float64. */
export function sumRows(n: number, factor: number, x: RealArray, out: RealArray): boolean {
  return inArena([{ array: x, use: 'read' }, { array: out, use: 'write' }], (kernel, from, to) => {
    ;(out.BYTES_PER_ELEMENT === 8 ? kernel.sumRows64 : kernel.sumRows32)(out.length, n, factor, from, to)
  })
}

/** The sums of the squares of each column of blocks of rows: blocks x n from blocks x rows x n. */
export function sumSquares(n: number, x: RealArray, out: RealArray): boolean {
  return inArena([{ array: x, use: 'read' }, { array: out, use: 'write' }], (kernel, from, to) => {
    const [blocks, size] = [out.length / n, out.BYTES_PER_ELEMENT]
    const rows = x.length / out.length
    const run = size === 8 ? kernel.sumSquares64 : kernel.sumSquares32
    for (let block = 0; block < blocks; block++) run(rows, n, from + block * rows * n * size, to + block * n * size)
  })
}

/** Blocks of numbers, and those that they are added to. */
export interface PlacedBlocks {
  readonly blocks: number
  /** Numbers of a block, and of one of the result. */
  readonly count: number
  readonly length: number
  /** From one block's indices to the next one's: `count`, or 0 where all have the same. */
  readonly step: number
}

/** Adds each number of x to the place in its block of `out` that its index names, if it names one. */
export function placeNumbers({ blocks, count, length, step }: PlacedBlocks, x: RealArray, indices: Float64Array,
  out: RealArray): boolean {
  return inArena([{ array: x, use: 'read' }, { array: indices, use: 'read' }, { array: out, use: 'update' }],
    (kernel, from, atIndices, to) => {
      ;(out.BYTES_PER_ELEMENT === 8 ? kernel.placeNumbers64 : kernel.placeNumbers32)(blocks, count, length, from,
        atIndices, step, to)
    })
}

/** Rows normalised by their own variance, and if `centred` by their mean: times the scale, plus the shift. */
export interface RowNormalisation {
  readonly centred: boolean
  readonly epsilon: number
  /** One number a column. */
  readonly scale: RealArray
  readonly shift: RealArray | undefined
}

/** out = (x - mean) / sqrt(variance + epsilon) scale + shift, row by row. */
export function normaliseRows({ centred, epsilon, scale, shift }: RowNormalisation, x: RealArray,
  out: RealArray): boolean {
  const n = scale.length
  return inArena([{ array: x, use: 'read' }, { array: scale, use: 'read' }, { array: shift ?? scale, use: 'read' }, {
    array: out,
    use: 'write',
  }], (kernel, from, atScale, atShift, to) => {
    const run = out.BYTES_PER_ELEMENT === 8 ? kernel.normaliseRows64 : kernel.normaliseRows32
    run(out.length / n, n, Number(centred), epsilon, from, atScale, shift === undefined ? 0 : atShift, to)
  })
}
