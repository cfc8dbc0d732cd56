/** @file Patches: the elements that sliding windows cover, as the rows of a matrix. */
import type { RealArray } from '../kernels/linear-algebra.js'
import { planeSize, validPositions, type Window } from './window.js'

/** Some channels of every example. */
export interface Channels {
  /** Channels of one example. */
  readonly total: number
  readonly from: number
  readonly count: number
}

/** Output rows (along the last axis, counted over all examples): the first, and the first behind them. */
export interface RowRange {
  readonly first: number
  readonly end: number
}

/**
 * Where a window's lines (its elements along the last axis) begin in x for some output rows; -1 for a line outside of
 * the input.
 */
function lineStarts(window: Window, total: number, { first, end }: RowRange): Int32Array {
  const [depth, height, width] = window
  const rows = depth.output * height.output
  const [example, count] = [total * planeSize(window), end - first]
  const starts = new Int32Array(depth.kernel * height.kernel * count).fill(-1)
  let at = 0
  for (let kz = 0; kz < depth.kernel; kz++) {
    for (let ky = 0; ky < height.kernel; ky++) {
      for (let row = first; row < end; row++, at++) {
        const z = Math.floor((row % rows) / height.output) * depth.stride - depth.front + kz * depth.dilation
        const y = (row % height.output) * height.stride - height.front + ky * height.dilation
        if (z >= 0 && z < depth.input && y >= 0 && y < height.input) {
          starts[at] = Math.floor(row / rows) * example +
            (z * height.input + y) * width.input
        }
      }
    }
  }
  return starts
}

/**
 * patches[example, position, element]: one row for each position of an example, from `to` on; rows of different
 * examples are `exampleStep` apart.
 */
export function unfoldRows(x: RealArray, window: Window, { total, from, count }: Channels, examples: number,
  patches: RealArray, to: number, exampleStep: number): void {
  const [depth, height, { input, kernel, output, stride, dilation, front }] = window
  const plane = planeSize(window)
  const rows = depth.output * height.output
  const starts = lineStarts(window, total, { first: 0, end: examples * rows })
  const all = examples * rows
  const width = count * (starts.length / all) * kernel
  for (let row = 0; row < all; row++) {
    for (let o = 0; o < output; o++) {
      const left = o * stride - front
      let at = to + Math.floor(row / rows) * exampleStep + ((row % rows) * output + o) * width
      for (let c = from; c < from + count; c++) {
        for (let lines = row; lines < starts.length; lines += all) {
          const start = starts[lines]
          for (let k = 0, i = left; k < kernel; k++, i += dilation, at++) {
            patches[at] = start >= 0 && i >= 0 && i < input ? x[start + c * plane + i] : 0
          }
        }
      }
    }
  }
}

/**
 * The runs of positions of one channel that share an element of the window: which element, the input of the first
 * position, that position, their number.
 */
export interface Shifts {
  readonly length: number
  readonly element: Int32Array
  readonly image: Int32Array
  readonly position: Int32Array
  readonly count: Int32Array
}

/** All runs of a window, element after element. */
export function shiftsOf(window: Window): Shifts {
  const [depth, height, width] = window
  const most = depth.kernel * depth.output * height.kernel * height.output * width.kernel
  const [element, image, position, count] = Array.from({ length: 4 }, () => new Int32Array(most))
  let length = 0
  let k = 0
  for (let kz = 0; kz < depth.kernel; kz++) {
    const [z0, z1] = validPositions(depth, kz)
    for (let ky = 0; ky < height.kernel; ky++) {
      const [y0, y1] = validPositions(height, ky)
      for (let kx = 0; kx < width.kernel; kx++, k++) {
        const [x0, x1] = validPositions(width, kx)
        for (let z = z0; z < z1; z++) {
          for (let y = y0; y < y1; y++, length++) {
            const line = ((z * depth.stride - depth.front + kz * depth.dilation) * height.input + y * height.stride -
              height.front + ky * height.dilation) * width.input
            element[length] = k
            image[length] = line + x0 * width.stride - width.front + kx * width.dilation
            position[length] = (z * height.output + y) * width.output + x0
            count[length] = x1 - x0
          }
        }
      }
    }
  }
  return { length, element, image, position, count }
}
