/** @file Which parameters share one prior precision while it is tuned. */
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { PriorStructure } from '../options/words.js'

/** Parameters from `from` to `to` (exclusive), one group after another. */
export interface PriorGroup {
  readonly from: number
  readonly to: number
}

/** All parameters together, one group a tensor, or one a parameter. */
export function priorGroups(structure: PriorStructure, slots: readonly ParameterSlot[]): PriorGroup[] {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  switch (structure) {
    case 'scalar':
      return [{ from: 0, to: size }]
    case 'layerwise':
      return slots.map(slot => ({ from: slot.offset, to: slot.offset + slot.size }))
    case 'diagonal':
      return Array.from({ length: size }, (_, i) => ({ from: i, to: i + 1 }))
  }
}

/** sum (theta - mu0)^2 of every group. */
export function squaredDeviations(groups: readonly PriorGroup[], theta: Float64Array,
  { priorMean }: PosteriorSettings): Float64Array {
  return Float64Array.from(groups, ({ from, to }) => {
    let sum = 0
    for (let i = from; i < to; i++) sum += (theta[i] - (typeof priorMean === 'number' ? priorMean : priorMean[i])) ** 2
    return sum
  })
}

/** The precision of every parameter from those of the groups. */
export function overParameters(groups: readonly PriorGroup[], values: ArrayLike<number>, size: number): Float64Array {
  const result = new Float64Array(size)
  groups.forEach(({ from, to }, g) => result.fill(values[g], from, to))
  return result
}

/** The precisions of the groups as an option: a number when there is one group. */
export function asPriorPrecision(values: Float64Array): number | Float64Array {
  return values.length === 1 ? values[0] : values.slice()
}
