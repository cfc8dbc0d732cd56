/**
 * @file Rows of examples and positions: how any layout of a linear operator's input or output becomes N x T x width.
 */
import { InternalError } from '../errors/errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { type Dim, isBatch } from '../graph/graph.js'
import { formatDims } from './shape-rules.js'

/**
 * How the elements of a value lie around the examples: `before` x N x `after` x `width`, the last axis being the width.
 */
export interface ExampleLayout {
  readonly before: number
  readonly after: number
  readonly width: number
}

/**
 * The layout of a shape whose last axis holds features.
 * @throws InternalError when no axis before the last one is a batch axis
 */
export function exampleLayout(shape: readonly Dim[]): ExampleLayout {
  const axis = shape.findIndex(isBatch)
  const dim = shape[axis]
  const width = shape[shape.length - 1]
  if (axis < 0 || !isBatch(dim) || isBatch(width)) {
    throw new InternalError(`A value of shape ${formatDims(shape)} has no rows of examples.`)
  }
  const product = (dims: readonly Dim[]): number =>
    dims.reduce<number>((size, extent) => size * (isBatch(extent) ? 1 : extent), 1)
  return { before: product(shape.slice(0, axis)) * dim.outer, after: dim.inner * product(shape.slice(axis + 1, -1)),
    width }
}

/**
 * Appends the nodes that bring a value to N x T x width, or its cotangent (`cotangent` true: K in front) to K x N x T x
 * width. Positions are numbered in the order in which they are stored.
 */
export function exampleRows(builder: GraphBuilder, value: string, shape: readonly Dim[], cotangent: boolean): string {
  const { before, after, width } = exampleLayout(shape)
  const front = cotangent ? [0] : []
  if (before === 1) {
    if (shape.length === 3 && isBatch(shape[0]) && shape[0].inner === 1) return value
    return builder.node('Reshape', [value, builder.integers([...front, -1, after, width])])
  }
  const apart = builder.node('Reshape', [value, builder.integers([...front, before, -1, after * width])])
  const examplesFirst = builder.node('Transpose', [apart], { perm: cotangent ? [0, 2, 1, 3] : [1, 0, 2] })
  return builder.node('Reshape', [examplesFirst, builder.integers([...front, -1, before * after, width])])
}
