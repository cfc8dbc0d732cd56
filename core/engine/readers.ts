/** @file Who reads the values of a graph, and what is read: what rewritings of chains ask for. */
import type { Graph, Node } from '../graph/graph.js'
import type { Tensor } from '../tensor/tensor.js'

/** The reader of every value that has one reader, reads it once, and is no output. */
export function onlyReaders(graph: Graph): Map<string, Node> {
  const count = new Map<string, number>(graph.outputs.map(name => [name, 2]))
  const readers = new Map<string, Node>()
  for (const node of graph.nodes) {
    for (const name of node.inputs) {
      count.set(name, (count.get(name) ?? 0) + 1)
      readers.set(name, node)
    }
  }
  return new Map([...readers].filter(([name]) => count.get(name) === 1))
}

/** The operand beside this one. */
export function otherInput({ inputs: [a, b] }: Node, name: string): string {
  return a === name ? b : a
}

/** The number that a value of one element is. */
export function scalar(value: Tensor | undefined): number | undefined {
  return value?.data.length === 1 ? value.data[0] : undefined
}
