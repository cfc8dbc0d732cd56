/** @file Inputs that hold indices: token ids and categories pick rows of an embedding. */
import type { Graph, GraphInput } from '../graph/graph.js'
import { originOf, producersOf } from './producers.js'

/**
 * The inputs with the length of the shortest list that their values pick from: an integer outside of it would be an
 * error deep in the network, and a negative one would silently pick from the end.
 */
export function withIndexLimits(graph: Graph, inputs: readonly GraphInput[]): readonly GraphInput[] {
  const producers = producersOf(graph)
  const below = new Map<string, number>()
  for (const { op, inputs: [table, indices], attributes: { axis = 0 } } of graph.nodes) {
    const shape = graph.initializers.get(table ?? '')?.shape
    if (op !== 'Gather' || shape === undefined) continue
    const name = originOf(indices, producers)
    below.set(name,
      Math.min(shape[Number(axis) < 0 ? Number(axis) + shape.length : Number(axis)], below.get(name) ?? Infinity))
  }
  return inputs.map(input => {
    const limit = below.get(input.name)
    return limit === undefined || input.dtype !== 'int64' ? input : { ...input, below: limit }
  })
}
