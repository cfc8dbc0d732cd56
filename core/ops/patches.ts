/** @file Patches: the elements that sliding windows cover, as the rows or columns of a matrix, and their transpose. */
import type { RealArray } from '../kernels/linear-algebra.js'
import { copyRun } from './strided-copy.js'
import { planeSize, validPositions, type Window } from './window.js'

/** Which channels of how many, and where patches lie: patch element p of output row r begins at rowBase(r) + p patchStep. */
export interface PatchLayout {
  /** Channels of one example. */
  readonly total: number
  /** The channels used. */
  readonly from: number
  readonly channels: number
  /** The output rows (of the last spatial axis), counted over all examples. */
  readonly firstRow: number
  readonly endRow: number
  /** Distance of neighbouring positions of one row, and of neighbouring elements of one patch. */
  readonly positionStep: number
  readonly patchStep: number
  /** Where a row begins. */
  rowBase(row: number): number
}

/** Visits every run of a patch element along one output row: `image` is where its first valid element is, or -1 with first = end outside of the input. */
function forEachRun(window: Window, layout: PatchLayout, visit: (image: number, base: number, first: number, end: number) => void): void {
  const [depth, height, width] = window
  const rowsOf = depth.output * height.output
  const plane = planeSize(window)
  const ranges = Array.from({ length: width.kernel }, (_, k) => validPositions(width, k))
  const { total, from, channels, patchStep } = layout
  for (let row = layout.firstRow; row < layout.endRow; row++) {
    const example = Math.floor(row / rowsOf)
    const z = Math.floor((row % rowsOf) / height.output) * depth.stride - depth.front
    const y = (row % height.output) * height.stride - height.front
    let at = layout.rowBase(row)
    for (let c = 0; c < channels; c++) {
      const channel = (example * total + from + c) * plane
      for (let kz = 0; kz < depth.kernel; kz++) {
        const iz = z + kz * depth.dilation
        for (let ky = 0; ky < height.kernel; ky++) {
          const iy = y + ky * height.dilation
          const inside = iz >= 0 && iz < depth.input && iy >= 0 && iy < height.input
          const line = channel + (iz * height.input + iy) * width.input
          for (let kx = 0; kx < width.kernel; kx++, at += patchStep) {
            const [first, end] = ranges[kx]
            visit(inside ? line + first * width.stride - width.front + kx * width.dilation : -1, at, first, inside ? end : first)
          }
        }
      }
    }
  }
}

/** patches = the elements of x under the windows, zero outside of the input. */
export function unfold(x: RealArray, window: Window, layout: PatchLayout, patches: RealArray): void {
  const [, , { output, stride }] = window
  const step = layout.positionStep
  forEachRun(window, layout, (image, base, first, end) => {
    for (let o = 0; o < first; o++) patches[base + o * step] = 0
    if (stride === 1 && step === 1) copyRun(x, image, patches, base + first, end - first)
    else for (let o = first, i = image; o < end; o++, i += stride) patches[base + o * step] = x[i]
    for (let o = end; o < output; o++) patches[base + o * step] = 0
  })
}

/** x += the patches added up where they came from: the transpose of `unfold`. */
export function fold(patches: RealArray, window: Window, layout: PatchLayout, x: RealArray): void {
  const [, , { stride }] = window
  const step = layout.positionStep
  forEachRun(window, layout, (image, base, first, end) => {
    for (let o = first, i = image; o < end; o++, i += stride) x[i] += patches[base + o * step]
  })
}

/** Visits the valid output runs of every element of one channel's window; `image` is the input index of the first. */
export function forEachShift(window: Window, visit: (k: number, image: number, output: number, count: number) => void): void {
  const [depth, height, width] = window
  let k = 0
  for (let kz = 0; kz < depth.kernel; kz++) {
    const [z0, z1] = validPositions(depth, kz)
    for (let ky = 0; ky < height.kernel; ky++) {
      const [y0, y1] = validPositions(height, ky)
      for (let kx = 0; kx < width.kernel; kx++, k++) {
        const [x0, x1] = validPositions(width, kx)
        for (let z = z0; z < z1; z++) for (let y = y0; y < y1; y++) {
          const line = ((z * depth.stride - depth.front + kz * depth.dilation) * height.input + y * height.stride - height.front + ky * height.dilation) * width.input
          visit(k, line + x0 * width.stride - width.front + kx * width.dilation, (z * height.output + y) * width.output + x0, x1 - x0)
        }
      }
    }
  }
}
