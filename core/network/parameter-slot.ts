/** @file Where a parameter tensor lies in the vector theta. */

/** A parameter tensor of the chosen subset: where it lies in theta's part. */
export interface ParameterSlot {
  readonly name: string
  readonly shape: readonly number[]
  readonly offset: number
  readonly size: number
  /** The elements of the tensor that take part, row-major; all of them where there is no list. */
  readonly elements?: Int32Array
}

/** Number of parameters of the slots together. */
export function parameterCount(slots: readonly ParameterSlot[]): number {
  return slots.reduce((sum, slot) => sum + slot.size, 0)
}
