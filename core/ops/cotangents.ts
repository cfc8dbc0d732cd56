/** @file Cotangents of broadcast operands. */
import type { GraphBuilder } from '../graph/builder.js'
import { type BatchDim, type Dim, isBatch } from '../graph/graph.js'
import { cotangentTarget } from './shape-rules.js'

/** Number of leading axes of a cotangent: [K] for a value with a batch axis, [K, N] for one without. */
export function leadingAxes(shape: readonly Dim[]): number {
  return shape.some(isBatch) ? 1 : 2
}

/**
 * Turns the cotangent of a value of shape `from` into that of an operand of shape `to` that was broadcast to it:
 * sums over the axes along which it was broadcast. The batch axis is never summed over; where the operand has none,
 * it moves behind K.
 */
export function sumToShape(builder: GraphBuilder, cotangent: string, from: readonly Dim[], to: readonly Dim[]): string {
  const extra = from.length - to.length
  const lead = leadingAxes(from)
  // Not the batch axis: summed over too, shapes could still fit, and H would be made of the gradients of batches
  // instead of those of examples.
  const broadcast = from.map((dim, axis) => !isBatch(dim) && dim !== 1 && (axis < extra || to[axis - extra] === 1))
  const axes = [...from.keys()].filter(axis => broadcast[axis])
  const summed = axes.length === 0
    ? cotangent
    : builder.node('ReduceSum', [cotangent, builder.integers(axes.map(axis => axis + lead))], { keepdims: 1 })
  const kept = from.map((dim, axis) => (broadcast[axis] ? 1 : dim))
  const axis = kept.findIndex(isBatch)
  const batch = kept[axis]
  if (axis >= 0 && isBatch(batch) && !to.some(isBatch)) {
    return examplesBehindSeeds(builder, summed, kept as readonly number[], axis, batch, to)
  }
  return extra === 0 ? summed : builder.node('Reshape', [summed, builder.integers(cotangentTarget({ shape: to }))])
}

/** K x (axes with the examples at `axis`) -> K x N x to; several positions of one example are summed. */
function examplesBehindSeeds(builder: GraphBuilder, cotangent: string, extents: readonly number[], axis: number,
  { outer, inner }: BatchDim, to: readonly Dim[]): string {
  const [before, after] = [extents.slice(0, axis), extents.slice(axis + 1)].map(part =>
    part.reduce((size, extent) => size * extent, 1)
  )
  const target = builder.integers([0, -1, ...to as readonly number[]])
  let rows = cotangent
  if (outer !== 1 || inner !== 1) {
    const apart = builder.node('Reshape', [cotangent, builder.integers([0, before, outer, -1, inner, after])])
    rows = builder.node('ReduceSum', [apart, builder.integers([2, 4])], { keepdims: 0 })
  }
  if (before === 1) {
    return extents.length === to.length + 1 && axis === 0 && rows === cotangent
      ? rows
      : builder.node('Reshape', [rows, target])
  }
  const flat = rows === cotangent ? builder.node('Reshape', [rows, builder.integers([0, before, -1, after])]) : rows
  return builder.node('Reshape', [builder.node('Transpose', [flat], { perm: [0, 2, 1, 3] }), target])
}
