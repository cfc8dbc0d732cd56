/** @file The diagonal of a curvature of any structure. */
import { scatter } from '../curvature/blocks.js'
import type { Curvature } from '../curvature/curvature.js'
import { type PlainBlock, plainBlocks } from '../curvature/kron-blocks.js'
import { placesOfBlock } from '../network/parameter-blocks.js'
import type { ParameterSlot } from '../network/parameter-slot.js'

/** H_ii of every parameter, in theta's order. */
export function curvatureDiagonal(curvature: Curvature, slots: readonly ParameterSlot[]): Float64Array {
  switch (curvature.structure) {
    case 'full':
      return diagonalOf(curvature.matrix, curvature.size)
    case 'diag':
      return curvature.diagonal
    case 'blockdiag': {
      const result = new Float64Array(curvature.size)
      for (const { slots: own, matrix } of curvature.blocks) {
        const places = placesOfBlock(slots, own)
        scatter(diagonalOf(matrix, places.length), curvature.size, places, result)
      }
      return result
    }
    case 'kron': {
      const result = new Float64Array(curvature.size)
      curvature.blocks.forEach((whole, i) => {
        let { offset } = slots[i]
        for (const block of plainBlocks(whole)) {
          const own = blockDiagonal(block)
          result.set(own, offset)
          offset += own.length
        }
      })
      return result
    }
  }
}

function blockDiagonal(block: PlainBlock): Float64Array {
  if (block.kind === 'diagonal') return block.diagonal
  const b = diagonalOf(block.B, block.out)
  if (block.kind === 'dense') return b
  const a = diagonalOf(block.A, block.in)
  const rows = block.rows || 1
  return Float64Array.from({ length: block.out * block.in },
    (_, i) => b[Math.floor(i / block.in)] * a[i % block.in] / rows)
}

function diagonalOf(matrix: Float64Array, size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, i) => matrix[i * size + i])
}
