/** @file Whether curvatures belong to the same parameters, told by their sizes. */
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import { curvatureArrays } from './accumulate.js'
import type { Curvature, DenseBlock, PosteriorCurvature } from './curvature.js'
import { blockSize, plainBlocks } from './kron-blocks.js'

/** Whether a curvature has a number, or a block, for each of the parameters. */
export function fitsSlots(curvature: PosteriorCurvature, slots: readonly ParameterSlot[]): boolean {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  if (curvature.size !== size) return false
  if (curvature.structure === 'blockdiag') return blocksFit(curvature.blocks, slots)
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
  switch (curvature.structure) {
    case 'kron':
      return curvature.blocks.map(block => `${block.kind} ${plainBlocks(block).map(({ kind }) => kind).join(' ')}`)
        .join()
    case 'blockdiag':
      return curvature.blocks.map(({ slots }) => slots.join()).join(' ')
    default:
      return ''
  }
}

/** Whether every tensor is in one block, and the blocks are as large as their tensors. */
function blocksFit(blocks: readonly DenseBlock[], slots: readonly ParameterSlot[]): boolean {
  const all = blocks.flatMap(block => block.slots)
  return all.length === slots.length && slots.every((_, slot) => all.includes(slot))
    && blocks.every(({ slots: own, matrix }) =>
      own.every((slot, i) => i === 0 || own[i - 1] < slot) &&
      matrix.length === parameterCount(own.map(slot => slots[slot])) ** 2
    )
}
