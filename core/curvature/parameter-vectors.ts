/** @file Vectors over the parameters, tensor by tensor, and as the rows of one matrix. */
import type { RealArray } from '../kernels/linear-algebra.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'

/** Several vectors over the parameters, tensor by tensor: `count` x size of each slot, row-major. */
export interface ParameterVectors<Values extends RealArray = Float64Array> {
  readonly count: number
  readonly bySlot: readonly Values[]
}

/** Zero vectors over the parameters of the slots. */
export function zeroVectors(slots: readonly ParameterSlot[], count: number): ParameterVectors {
  return { count, bySlot: slots.map(({ size }) => new Float64Array(count * size)) }
}

/** The rows of a count x P matrix, tensor by tensor; elements of a tensor that take no part are zero. */
export function splitVectors<Values extends RealArray>(slots: readonly ParameterSlot[], rows: Values,
  count: number): ParameterVectors<Values> {
  const total = parameterCount(slots)
  const bySlot = slots.map(({ offset, size, elements, shape }) => {
    if (elements !== undefined) {
      const width = shape.reduce((product, extent) => product * extent, 1)
      const whole =
        (rows instanceof Float32Array ? new Float32Array(count * width) : new Float64Array(count * width)) as Values
      for (let k = 0; k < count; k++) {
        elements.forEach((element, e) => {
          whole[k * width + element] = rows[k * total + offset + e]
        })
      }
      return whole
    }
    const part = rows.slice(0, count * size) as Values
    for (let k = 0; k < count; k++) part.set(rows.subarray(k * total + offset, k * total + offset + size), k * size)
    return part
  })
  return { count, bySlot }
}

/** The vectors as the rows of a count x P matrix. */
export function joinVectors(slots: readonly ParameterSlot[], { count, bySlot }: ParameterVectors): Float64Array {
  const total = parameterCount(slots)
  const rows = new Float64Array(count * total)
  slots.forEach(({ offset, size }, i) => {
    for (let k = 0; k < count; k++) rows.set(bySlot[i].subarray(k * size, (k + 1) * size), k * total + offset)
  })
  return rows
}
