/** @file How large the values are that a graph computes. */
import { concreteShape, type Graph } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { sizeOf } from '../tensor/tensor.js'
import { inferTypes } from './infer.js'

/** Numbers of the values that the nodes of a graph compute for one example. */
export interface ValueSizes {
  /** Of the widest. */
  readonly widest: number
  /** Of all. */
  readonly values: number
  /** Of those that are there at once, at most: each from its node to the last that reads it. */
  readonly live: number
}

/** Numbers of the values of a graph whose nodes are in the order in which they run. */
export const valueSizes = onceForGraph(findSizes)

function findSizes(graph: Graph): ValueSizes {
  const types = inferTypes(graph)
  const sizes = new Map(graph.nodes.flatMap(node => node.outputs)
    .map(name => [name, sizeOf(concreteShape(types.get(name)?.shape ?? [], 1))] as const))
  const lastRead = new Map<string, number>()
  graph.nodes.forEach(({ inputs }, i) => {
    for (const name of inputs) lastRead.set(name, i)
  })
  for (const name of graph.outputs) lastRead.set(name, Infinity)
  let [widest, values, live, held] = [0, 0, 0, 0]
  graph.nodes.forEach(({ inputs, outputs }, i) => {
    for (const name of outputs) {
      const size = sizes.get(name) ?? 0
      widest = Math.max(widest, size)
      values += size
      held += size
    }
    live = Math.max(live, held)
    for (const name of new Set([...inputs, ...outputs])) {
      if ((lastRead.get(name) ?? i) === i) held -= sizes.get(name) ?? 0
    }
  })
  return { widest, values, live }
}
