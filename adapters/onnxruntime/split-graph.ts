/** @file Cuts a program at an input that is known later: what can run before it, and what needs it. */
import { InternalError } from '../../core/errors/errors.js'
import type { Graph, GraphInput } from '../../core/graph/graph.js'
import { removeDead } from '../../core/passes/fold.js'
import { inferTypes } from '../../core/passes/infer.js'

/** The parts of a program that is cut at an input. */
export interface SplitGraph {
  /** Runs first; its outputs are those of the whole that it computes, and the values that the second part reads. */
  readonly before: Graph
  /** Takes the deferred input, values of the first part, and inputs of the whole. */
  readonly after: Graph
}

/** The two parts of a graph whose nodes are in topological order. */
export function splitAtInput(graph: Graph, deferred: string): SplitGraph {
  const reached = new Set([deferred])
  const [first, second]: [Graph['nodes'][number][], Graph['nodes'][number][]] = [[], []]
  for (const node of graph.nodes) {
    const dependent = node.inputs.some(name => reached.has(name))
    if (dependent) { for (const name of node.outputs) reached.add(name) }
    ;(dependent ? second : first).push(node)
  }
  const computed = new Set(first.flatMap(node => node.outputs))
  const crossing = [...new Set(second.flatMap(node => node.inputs))].filter(name => computed.has(name))
  const types = inferTypes(graph)
  const asInput = (name: string): GraphInput => {
    const type = types.get(name)
    if (type === undefined) throw new InternalError(`The type of '${name}' is not known.`)
    return { name, dtype: type.dtype, shape: type.shape }
  }
  const needed = new Set(second.flatMap(node => node.inputs))
  return {
    before: removeDead({
      ...graph,
      nodes: first,
      inputs: graph.inputs.filter(input => input.name !== deferred),
      parameters: [],
      outputs: [...new Set([...graph.outputs.filter(name => computed.has(name)), ...crossing])],
    }),
    after: removeDead({
      ...graph,
      nodes: second,
      inputs: [...graph.inputs.filter(input => needed.has(input.name)), ...crossing.map(asInput)],
      parameters: [],
      outputs: graph.outputs.filter(name => reached.has(name)),
    }),
  }
}
