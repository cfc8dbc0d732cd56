/** @file The sizes of a linear operator, and which parameters it uses. */
import { InternalError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import type { LastLayer } from '../passes/last-linear.js'
import type { ParameterSlot } from './parameter-slot.js'
import { parameterSlots } from './parameters.js'

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
  /** Of a convolution in groups, how many: `in` and `out` are then those of one group. */
  readonly groups?: number
  /** How often it is applied to one example, where that is known. */
  readonly positions?: number
}

/**
 * The slots of a last layer f = W phi + b in the order of theta, W as out x in and b as out numbers, however many axes
 * of one element their tensors have (a row, a column, the window of a 1 x 1 convolution).
 */
export function lastLayerSlots(graph: Graph, layer: LastLayer): ParameterSlot[] {
  const names = graph.parameters.map(({ name }) => name).filter(name => name === layer.weight || name === layer.bias)
  return parameterSlots(graph, names).map(slot => ({ ...slot,
    shape: slot.name === layer.weight ? [layer.out, layer.in] : [layer.out] })
  )
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
