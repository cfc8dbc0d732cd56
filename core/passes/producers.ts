/** @file Which node computes a value, looking through those that only rename or reshape it. */
import type { Graph, Node } from '../graph/graph.js'

/** The node that computes each value. */
export type Producers = ReadonlyMap<string, Node>

/** The node that computes each value of a graph. */
export function producersOf({ nodes }: Pick<Graph, 'nodes'>): Producers {
  return new Map(nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
}

const RENAMING = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Expand'])

/** The node behind a value, or behind what it is a renamed, reshaped or repeated copy of. */
export function follow(name: string, producers: Producers): Node | undefined {
  let node = producers.get(name)
  while (node !== undefined && RENAMING.has(node.op)) node = producers.get(node.inputs[0])
  return node
}
