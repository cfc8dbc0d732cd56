/** @file Which node computes a value, looking through those that only rename or reshape it. */
import type { Graph, Node } from '../graph/graph.js'

/** The node that computes each value. */
export type Producers = ReadonlyMap<string, Node>

/** The node that computes each value of a graph. */
export function producersOf({ nodes }: Pick<Graph, 'nodes'>): Producers {
  return new Map(nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
}

const RENAMING = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Expand'])

/** The value that one is a renamed, reshaped or repeated copy of; itself where it is none. */
export function originOf(name: string, producers: Producers): string {
  let origin = name
  for (let node = producers.get(origin); node !== undefined && RENAMING.has(node.op); node = producers.get(origin)) {
    origin = node.inputs[0]
  }
  return origin
}

/** The node behind a value, or behind what it is a renamed, reshaped or repeated copy of. */
export function follow(name: string, producers: Producers): Node | undefined {
  return producers.get(originOf(name, producers))
}
