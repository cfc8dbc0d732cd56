/** @file Networks that end in probabilities: the softmax or sigmoid at the end is recognised and taken away. */
import { type Graph, isBatch, type Node } from '../graph/graph.js'
import type { InferredValue } from '../ops/operator.js'
import { removeDead, sortNodes } from './fold.js'
import { inferTypes } from './infer.js'

/** What may stand at a network's end. */
export type LinkFunction = 'Softmax' | 'LogSoftmax' | 'Sigmoid'

/** A network whose output is logits, or what it was before. */
export interface StrippedNetwork {
  readonly graph: Graph
  /** The output to use: the logits where a link function was found, else the given one. */
  readonly output: string
  readonly link?: LinkFunction
  /** A sentence for the user, where something was taken away. */
  readonly note?: string
}

const RENAMING = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/**
 * Looks for a Softmax, LogSoftmax, Log of a Softmax, or Sigmoid at a network's end, also behind nodes that only rename
 * or reshape, and makes the logits below it the output.
 * @throws GraphError BAD_GRAPH, UNSUPPORTED_OPERATOR, BATCH_AXIS
 */
export function stripLinkFunction(graph: Graph, output: string): StrippedNetwork {
  const sorted = sortNodes({ ...graph, outputs: [output] })
  const producers = new Map(sorted.nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
  const above = (name: string): Node | undefined => {
    let node = producers.get(name)
    while (node !== undefined && RENAMING.has(node.op)) node = producers.get(node.inputs[0])
    return node
  }
  const last = above(output)
  const inner = last?.op === 'Log' ? above(last.inputs[0]) : undefined
  const node = inner?.op === 'Softmax' ? inner : last
  if (node === undefined || !isLink(node, inferTypes(removeDead(sorted)))) return { graph: sorted, output }
  const link: LinkFunction = node.op === 'Sigmoid'
    ? 'Sigmoid'
    : node === inner || node.op === 'LogSoftmax'
    ? 'LogSoftmax'
    : 'Softmax'
  const logits = node.inputs[0]
  return {
    graph: removeDead({ ...sorted, outputs: [logits] }),
    output: logits,
    link,
    note: `The network ends in ${link}; the ${
      link === 'Sigmoid' ? 'logits' : 'unnormalised scores'
    } below it ('${logits}') are used as its output.`,
  }
}

/** A softmax over the outputs of an example (and over nothing else), or a sigmoid. */
function isLink(node: Node, types: ReadonlyMap<string, InferredValue>): boolean {
  if (node.op === 'Sigmoid') return true
  if (node.op !== 'Softmax' && node.op !== 'LogSoftmax') return false
  const shape = types.get(node.inputs[0])?.shape ?? []
  return shape.filter(dim => !isBatch(dim) && dim !== 1).length <= 1
}
