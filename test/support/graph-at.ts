/** @file A network at other weights, by its parameters alone. */
import type { Graph } from '../../core/graph/graph.js'
import { float64 } from '../../core/tensor/tensor.js'

/** The graph with theta as its parameters, one after another. */
export function graphAt(graph: Graph, theta: Float64Array): Graph {
  let offset = 0
  const initializers = new Map(graph.initializers)
  for (const { name, shape } of graph.parameters) {
    const size = shape.reduce((a, b) => a * b, 1)
    initializers.set(name, float64(shape, theta.slice(offset, offset + size)))
    offset += size
  }
  return { ...graph, initializers }
}
