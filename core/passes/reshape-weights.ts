/** @file Weights that a network reshapes before it multiplies with them take the shape that it gives them. */
import type { Graph, Node } from '../graph/graph.js'
import type { InferredValue } from '../ops/operator.js'

/** Nodes that keep the elements of a tensor in order. */
const RESHAPING = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/**
 * The graph in which a parameter that is only ever reshaped to a matrix of a product is that matrix, with the types of
 * its values: CNTK keeps the weight of a dense layer as channels x height x width x out. The numbers stay in order.
 * @param types the types of the values, perhaps not of all
 */
export function reshapeWeights(graph: Graph,
  types: ReadonlyMap<string, InferredValue>): { graph: Graph, types: ReadonlyMap<string, InferredValue> } {
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes) {
    for (const name of node.inputs) readers.set(name, [...readers.get(name) ?? [], node])
  }
  const outputs = new Set(graph.outputs)
  const only = (name: string): Node | undefined => {
    const nodes = readers.get(name) ?? []
    return nodes.length === 1 && !outputs.has(name) ? nodes[0] : undefined
  }
  const shapes = new Map<string, readonly number[]>()
  const renamed = new Map<string, string>()
  const gone = new Set<Node>()
  for (const { name } of graph.parameters) {
    const node = only(name)
    const shape = node === undefined ? undefined : types.get(node.outputs[0])?.shape
    if (node === undefined || !RESHAPING.has(node.op) || node.inputs[0] !== name || shape?.length !== 2) continue
    const product = only(node.outputs[0])
    if (product?.op !== 'MatMul' && product?.op !== 'Gemm') continue
    shapes.set(name, shape as readonly number[])
    renamed.set(node.outputs[0], name)
    gone.add(node)
  }
  if (gone.size === 0) return { graph, types }
  const reshaped = <T extends { readonly shape: readonly unknown[] }>(name: string, value: T): T => {
    const shape = shapes.get(name)
    return shape === undefined ? value : { ...value, shape }
  }
  return { types: new Map([...types].map(([name, type]) => [name, reshaped(name, type)])),
    graph: { ...graph, nodes: graph.nodes.filter(node => !gone.has(node)).map(
      node => ({ ...node, inputs: node.inputs.map(name => renamed.get(name) ?? name) }),
    ), initializers: new Map([...graph.initializers].map(([name, value]) => [name, reshaped(name, value)])),
      parameters: graph.parameters.map(parameter => reshaped(parameter.name, parameter)) } }
}
