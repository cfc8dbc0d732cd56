/** @file A value seen from one of its axes. */
import { sizeOf } from '../tensor/tensor.js'

/** A shape as `outer` x `extent` x `inner`: the elements in front of an axis, along it, and behind it. */
export interface AxisBlocks {
  readonly outer: number
  readonly extent: number
  readonly inner: number
}

/** Splits a shape at an axis. */
export function axisBlocks(shape: readonly number[], axis: number): AxisBlocks {
  return { outer: sizeOf(shape.slice(0, axis)), extent: shape[axis], inner: sizeOf(shape.slice(axis + 1)) }
}
