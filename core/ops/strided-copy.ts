/**
 * @file Copies of a value's elements in another order: by strides, as transpositions, slices and repetitions need them.
 */
import { copyWalk } from '../kernels/walk.js'
import type { TensorData } from '../tensor/tensor.js'

/**
 * Extents and strides of a walk through data, outermost first; neighbouring axes are merged where one stride covers
 * both.
 */
export interface Walk {
  readonly extents: readonly number[]
  readonly strides: readonly number[]
}

/** The same walk with as few axes as possible. */
function mergeAxes({ extents, strides }: Walk): Walk {
  const merged = { extents: [] as number[], strides: [] as number[] }
  extents.forEach((extent, axis) => {
    const last = merged.extents.length - 1
    const stride = strides[axis]
    if (last >= 0 && extent !== 1 && merged.strides[last] === stride * extent) {
      merged.extents[last] *= extent
      merged.strides[last] = stride
    } else if (extent !== 1) {
      merged.extents.push(extent)
      merged.strides.push(stride)
    }
  })
  return merged
}

/**
 * out = the elements of `data` at `from` plus multiples of the strides (which may be 0 or negative), in row-major order
 * of the extents.
 */
export function copyStrided(data: TensorData, from: number, walk: Walk, out: TensorData): void {
  if (out.length === 0) return
  const { extents, strides } = mergeAxes(walk)
  const rank = extents.length
  if (copyInKernel(data, from, { extents, strides }, out)) return
  const [rows, columns] = [rank > 1 ? extents[rank - 2] : 1, extents[rank - 1] ?? 1]
  const [rowStep, columnStep] = [rank > 1 ? strides[rank - 2] : 0, strides[rank - 1] ?? 1]
  const outer = extents.slice(0, -2)
  const index = outer.map(() => 0)
  for (let to = 0; to < out.length; to += rows * columns) {
    copyMatrix(data, from, rows, columns, rowStep, columnStep, out, to)
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      from += strides[axis]
      if (++index[axis] < outer[axis]) break
      from -= strides[axis] * outer[axis]
      index[axis] = 0
    }
  }
}

/** Less is done sooner by a loop. */
const SHORT_COPY = 64
/** Axes of a walk in the kernels. */
const WALK_AXES = 4

/** @returns false, and nothing is done, where the kernels cannot */
function copyInKernel(data: TensorData, from: number, { extents, strides }: Walk, out: TensorData): boolean {
  const missing = WALK_AXES - extents.length
  if (missing < 0 || out.length < SHORT_COPY || data instanceof Uint8Array || out instanceof Uint8Array) return false
  if (data.BYTES_PER_ELEMENT !== out.BYTES_PER_ELEMENT) return false
  const front = new Array<number>(missing)
  return copyWalk(data, from, [...front.fill(1), ...extents], [...front.fill(0), ...strides], out)
}

/** Tiles of this many rows and columns stay in the first cache. */
const TILE = 32
/** Contiguous rows from this length on are copied as blocks. */
const BLOCK = 64

function copyMatrix(data: TensorData, from: number, rows: number, columns: number, rowStep: number, columnStep: number,
  out: TensorData, to: number): void {
  if (columnStep === 1) {
    for (let i = 0; i < rows; i++, from += rowStep, to += columns) copyRun(data, from, out, to, columns)
    return
  }
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(rows, top + TILE)
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(columns, left + TILE)
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) out[to + i * columns + j] = data[from + i * rowStep + j * columnStep]
      }
    }
  }
}

/** Copies `count` neighbouring elements. */
export function copyRun(data: TensorData, from: number, out: TensorData, to: number, count: number): void {
  if (count >= BLOCK) out.set(data.subarray(from, from + count), to)
  else for (let i = 0; i < count; i++) out[to + i] = data[from + i]
}
