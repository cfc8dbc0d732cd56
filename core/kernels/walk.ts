/** @file Copies in another order, in the arena of the kernels. */
import { inArena } from './arena.js'
import type { RealArray } from './plain.js'

/**
 * out = the numbers of `data` at `from` plus multiples of four steps, in row-major order of four extents.
 * @returns false, and nothing is done, where the arrays do not live in the arena
 */
export function copyWalk(data: RealArray, from: number, extents: readonly number[], steps: readonly number[],
  out: RealArray): boolean {
  const size = out.BYTES_PER_ELEMENT
  return inArena([{ array: data, use: 'read' }, { array: out, use: 'write' }], (kernel, at, to) => {
    const run = size === 8 ? kernel.copyWalk64 : kernel.copyWalk32
    run(at + from * size, extents[0], extents[1], extents[2], extents[3], steps[0], steps[1], steps[2], steps[3], to)
  })
}
