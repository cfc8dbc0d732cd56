/** @file The sizes of a linear operator, and which parameters it uses. */
import { InternalError } from '../errors/errors.js'
import type { ParameterSlot } from './parameter-slot.js'

/**
 * Which parameters a linear operator uses (indices into the slots; -1 for one that is not in the subset) and its sizes.
 */
export interface LinearShape {
  /** Index of the weight among the parameters of the subset. */
  readonly weight: number
  /** Index of the bias, or -1. */
  readonly bias: number
  readonly in: number
  readonly out: number
}

/**
 * The sizes of a last layer from its slots: the weight is the one of rank 2, the bias the one of rank 1.
 * @throws InternalError when the slots are not one weight, with or without a bias
 */
export function lastLayerShape(slots: readonly ParameterSlot[]): LinearShape {
  const weight = slots.findIndex(slot => slot.shape.length === 2)
  const bias = slots.findIndex(slot => slot.shape.length === 1)
  if (weight < 0 || slots.length !== (bias < 0 ? 1 : 2)) {
    throw new InternalError(
      `A last layer has one weight and at most one bias; got ${slots.map(slot => slot.name).join(', ')}.`,
    )
  }
  const [out, inputs] = slots[weight].shape
  return { weight, bias, in: inputs, out }
}
