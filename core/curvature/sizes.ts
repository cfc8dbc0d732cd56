/** @file Whether curvatures belong to the same parameters, told by their sizes. */
import type { ParameterSlot } from '../network/parameter-slot.js'
import { curvatureArrays } from './accumulate.js'
import type { Curvature, PosteriorCurvature } from './curvature.js'
import { blockSize } from './kron.js'

/** Whether a curvature has a number, or a block, for each of the parameters. */
export function fitsSlots(curvature: PosteriorCurvature, slots: readonly ParameterSlot[]): boolean {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  if (curvature.size !== size) return false
  if (curvature.structure !== 'kron' && curvature.structure !== 'ekfac') return true
  return curvature.blocks.length === slots.length &&
    curvature.blocks.every((block, i) => blockSize(block) === slots[i].size)
}

/** Whether two curvatures can be added: the same structure, and arrays of the same sizes. */
export function canBeAdded(a: Curvature, b: Curvature): boolean {
  if (a.structure !== b.structure || a.size !== b.size) return false
  const [own, others] = [curvatureArrays(a), curvatureArrays(b)]
  return own.length === others.length && own.every((array, i) => array.length === others[i].length)
    && kindsOf(a) === kindsOf(b)
}

function kindsOf(curvature: Curvature): string {
  return curvature.structure === 'kron' ? curvature.blocks.map(({ kind }) => kind).join() : ''
}
