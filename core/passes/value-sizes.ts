/** @file How large the values are that a graph computes. */
import { concreteShape, type Graph } from '../graph/graph.js'
import { sizeOf } from '../tensor/tensor.js'
import { inferTypes } from './infer.js'

/** Numbers of the values that the nodes of a graph compute for one example: of the widest, and of all. */
export function valueSizes(graph: Graph): { readonly widest: number, readonly values: number } {
  const types = inferTypes(graph)
  const sizes = graph.nodes.flatMap(node => node.outputs)
    .map(name => sizeOf(concreteShape(types.get(name)?.shape ?? [], 1)))
  return { widest: sizes.reduce((most, size) => Math.max(most, size), 0),
    values: sizes.reduce((sum, size) => sum + size, 0) }
}
