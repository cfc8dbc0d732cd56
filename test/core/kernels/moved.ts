/** @file Arrays of tests where the kernels read them without a copy. */
import { arenaBlock } from '../../../core/kernels/arena.js'
import type { RealArray } from '../../../core/kernels/linear-algebra.js'

/** A copy in the arena. */
export function moved<A extends RealArray>(array: A): A {
  const block = arenaBlock(array.byteLength)
  if (block === undefined) throw new Error('The arena is full.')
  const View = array.constructor as new(buffer: ArrayBuffer, offset: number, length: number) => A
  const view = new View(block.buffer, block.offset, array.length)
  view.set(array)
  return view
}
