/**
 * @file Loops over broadcast operands: axes are merged where possible, and the innermost loop is left to the operator.
 */
import type { TensorData } from '../tensor/tensor.js'

/** How to walk through operands in the order of the result. */
export interface BroadcastPlan {
  /** The common shape. */
  readonly shape: readonly number[]
  /** Extents of the merged axes, outermost first; the last one is the inner loop's. */
  readonly extents: readonly number[]
  /** For every operand the step along each merged axis, 0 where it is broadcast. */
  readonly strides: readonly (readonly number[])[]
}

/** The inner loop of a binary operator: `n` elements from `a[ai]`, `b[bi]` in steps of `as`, `bs` to `out[oi]` on. */
export type BinaryRow = (n: number, a: TensorData, ai: number, as: number, b: TensorData, bi: number, bs: number,
  out: TensorData, oi: number) => void

/** The plan for operands whose shapes are known to be compatible. */
export function broadcastPlan(...shapes: readonly (readonly number[])[]): BroadcastPlan {
  const rank = Math.max(0, ...shapes.map(shape => shape.length))
  const extentAt = (shape: readonly number[], axis: number): number => shape[axis - (rank - shape.length)] ?? 1
  // An operand of extent 1 takes the other's extent, be it 0.
  const shape = Array.from({ length: rank },
    (_, axis) => shapes.reduce((extent, s) => (extentAt(s, axis) === 1 ? extent : extentAt(s, axis)), 1))
  const extents: number[] = []
  const strides: number[][] = shapes.map(() => [])
  const steps = shapes.map(() => 1)
  for (let axis = rank - 1; axis >= 0; axis--) {
    const extent = shape[axis]
    const own = shapes.map(s => extentAt(s, axis))
    if (extent !== 1) {
      const stride = own.map((e, operand) => (e === 1 ? 0 : steps[operand]))
      const merged = extents.length > 0 && stride.every((step, operand) => step === strides[operand][0] * extents[0])
      if (merged) extents[0] *= extent
      else {
        extents.unshift(extent)
        stride.forEach((step, operand) => strides[operand].unshift(step))
      }
    }
    own.forEach((e, operand) => {
      steps[operand] *= e
    })
  }
  if (extents.length === 0) {
    extents.push(1)
    for (const stride of strides) stride.push(1)
  }
  return { shape, extents, strides }
}

/** Calls `visit` with the offsets of every operand at the start of each inner row; the array of offsets is reused. */
export function forEachRow(plan: BroadcastPlan, visit: (offsets: readonly number[], at: number) => void): void {
  const { extents, strides } = plan
  const outer = extents.length - 1
  const inner = extents[outer]
  const index = new Array<number>(outer).fill(0)
  const offsets = strides.map(() => 0)
  const rows = extents.slice(0, outer).reduce((product, extent) => product * extent, 1)
  if (inner === 0) return
  for (let row = 0; row < rows; row++) {
    visit(offsets, row * inner)
    for (let axis = outer - 1; axis >= 0; axis--) {
      for (let k = 0; k < offsets.length; k++) offsets[k] += strides[k][axis]
      if (++index[axis] < extents[axis]) break
      for (let k = 0; k < offsets.length; k++) offsets[k] -= strides[k][axis] * extents[axis]
      index[axis] = 0
    }
  }
}

/** Runs a binary operator's inner loop over all rows. */
export function runBinary(row: BinaryRow, plan: BroadcastPlan, a: TensorData, b: TensorData, out: TensorData): void {
  const last = plan.extents.length - 1
  const inner = plan.extents[last]
  const as = plan.strides[0][last]
  const bs = plan.strides[1][last]
  if (last === 0) {
    row(inner, a, 0, as, b, 0, bs, out, 0)
    return
  }
  if (last === 1) {
    const [aStep, bStep] = [plan.strides[0][0], plan.strides[1][0]]
    for (let i = 0, at = 0; i < plan.extents[0]; i++, at += inner) {
      row(inner, a, i * aStep, as, b, i * bStep, bs, out, at)
    }
    return
  }
  forEachRow(plan, (offsets, at) => {
    row(inner, a, offsets[0], as, b, offsets[1], bs, out, at)
  })
}
