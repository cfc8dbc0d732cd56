/**
 * @file The curvature of a last layer whose outputs count differently, and numbers an output as numbers a parameter.
 */
import { placesOfBlock } from '../network/parameter-blocks.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { gathered } from './blocks.js'
import type { Curvature } from './curvature.js'
import { mapPlain } from './kron-blocks.js'

/** The value of its output for every parameter of a last layer: weight out x in, bias out. */
export function overOutputs(slots: readonly ParameterSlot[], values: ArrayLike<number>): Float64Array {
  const result = new Float64Array(slots.reduce((sum, { size }) => sum + size, 0))
  for (const { offset, size, shape: [out] } of slots) {
    for (let i = 0; i < size; i++) result[offset + i] = values[Math.floor(i * out / size)]
  }
  return result
}

/** The last layer's curvature with the loss of output c multiplied by f_c, where the loss is a sum over the outputs. */
export function scaledByOutput(curvature: Curvature, slots: readonly ParameterSlot[],
  factors: ArrayLike<number>): Curvature {
  const { size } = curvature
  switch (curvature.structure) {
    case 'full':
      return { ...curvature, matrix: scaledBySides(curvature.matrix, overOutputs(slots, factors)) }
    case 'diag': {
      const own = overOutputs(slots, factors)
      return { ...curvature, diagonal: curvature.diagonal.map((value, i) => value * own[i]) }
    }
    case 'blockdiag': {
      const own = overOutputs(slots, factors)
      return { ...curvature,
        blocks: curvature.blocks.map(({ slots: members, matrix }) => ({ slots: members,
          matrix: scaledBySides(matrix, gathered(own, size, placesOfBlock(slots, members))) })
        ) }
    }
    case 'kron': {
      const sides = Float64Array.from(factors)
      return { ...curvature, blocks: curvature.blocks.map(whole =>
        mapPlain(whole, block =>
          block.kind === 'diagonal'
            ? { ...block, diagonal: block.diagonal.map((value, c) => value * factors[c]) }
            : { ...block, B: scaledBySides(block.B, sides) })
      ) }
    }
  }
}

/** Entry i, j times sqrt(f_i f_j). */
function scaledBySides(matrix: Float64Array, factors: Float64Array): Float64Array {
  const n = factors.length
  const roots = factors.map(Math.sqrt)
  return matrix.map((value, at) => value * roots[Math.floor(at / n)] * roots[at % n])
}
