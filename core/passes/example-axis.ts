/** @file Brings values of any layout to one row an example, and back. */
import { GraphError } from '../errors/errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { batchAxis, type Dim, isBatch } from '../graph/graph.js'
import { elementsPerExample, formatDims } from '../ops/shape-rules.js'

function layout(name: string, shape: readonly Dim[]): { before: number, after: number } {
  const axis = batchAxis({ dtype: 'float64', shape })
  const dim = shape[axis]
  if (axis < 0 || !isBatch(dim)) {
    throw new GraphError('BATCH_AXIS',
      `The value '${name}' of shape ${formatDims(shape)} has no axis that carries the examples.`, { name })
  }
  return { before: elementsPerExample(shape.slice(0, axis)) * dim.outer,
    after: dim.inner * elementsPerExample(shape.slice(axis + 1)) }
}

/**
 * Appends the nodes that bring a value to N x C: one row an example, its elements in storage order.
 * @throws GraphError BATCH_AXIS
 */
export function examplesToRows(builder: GraphBuilder, name: string, shape: readonly Dim[]): string {
  const { before, after } = layout(name, shape)
  if (before === 1) {
    return shape.length === 2 && isBatch(shape[0]) && shape[0].inner === 1
      ? name
      : builder.node('Reshape', [name, builder.integers([-1, after])])
  }
  const apart = builder.node('Reshape', [name, builder.integers([before, -1, after])])
  return builder.node('Reshape', [builder.node('Transpose', [apart], { perm: [1, 0, 2] }),
    builder.integers([-1, before * after])])
}

/**
 * Appends the nodes that bring a seed of shape K x N x C to the layout of a value of `shape`, with K in front.
 * @throws GraphError BATCH_AXIS
 */
export function rowsToCotangent(builder: GraphBuilder, seed: string, name: string, shape: readonly Dim[]): string {
  const { before, after } = layout(name, shape)
  // The inverse of `examplesToRows`, element for element: in another order every seed would belong to another output.
  const target = builder.integers([0, ...shape.map(dim => (isBatch(dim) ? -1 : dim))])
  if (before === 1) {
    return shape.length === 2 && isBatch(shape[0]) && shape[0].inner === 1
      ? seed
      : builder.node('Reshape', [seed, target])
  }
  const apart = builder.node('Reshape', [seed, builder.integers([0, -1, before, after])])
  return builder.node('Reshape', [builder.node('Transpose', [apart], { perm: [0, 2, 1, 3] }), target])
}
