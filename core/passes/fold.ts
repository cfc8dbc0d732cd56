/** @file Brings a graph into order and takes out what need not run: constants, identities, dead nodes. */
import { GraphError, InternalError } from '../errors/errors.js'
import type { Graph, Node } from '../graph/graph.js'
import { describeNode } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'
import { elementsPerExample, sameShape } from '../ops/shape-rules.js'
import type { Tensor } from '../tensor/tensor.js'
import { heapContext, inferTypes, rememberTypes } from './infer.js'
import { foldingMeter } from './value-limits.js'

type Types = ReadonlyMap<string, InferredValue>

/**
 * The graph with its nodes in topological order (the given order where it is one already).
 * @throws GraphError BAD_GRAPH on duplicate names, values that nothing computes, and cycles
 */
export function sortNodes(graph: Graph): Graph {
  const known = new Set<string>()
  const claim = (name: string): void => {
    if (known.has(name)) throw new GraphError('BAD_GRAPH', `Two values of the network are named '${name}'.`, { name })
    known.add(name)
  }
  for (const { name } of graph.inputs) claim(name)
  for (const name of graph.initializers.keys()) claim(name)
  const available = new Set(known)
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== '') claim(name)
  for (const node of graph.nodes) {
    for (const name of node.inputs) {
      if (name !== '' && !known.has(name)) {
        throw new GraphError('BAD_GRAPH',
          `${
            describeNode(node)
          }: its input '${name}' is neither an input of the network, nor a weight, nor computed by a node.`, { name,
          op: node.op })
      }
    }
  }
  for (const name of graph.outputs) {
    if (!known.has(name)) {
      throw new GraphError('BAD_GRAPH', `The output '${name}' is not computed by any node.`, {
        name,
      })
    }
  }
  for (const { name } of graph.parameters) {
    if (!graph.initializers.has(name)) {
      throw new GraphError('BAD_GRAPH', `The parameter '${name}' has no value.`, {
        name,
      })
    }
  }
  return { ...graph, nodes: sameOr(graph.nodes, topologicalOrder(graph.nodes, available)) }
}

/** The list that was given where the new one is equal: what is known of its nodes is found by it. */
function sameOr(given: readonly Node[], nodes: readonly Node[]): readonly Node[] {
  return nodes.length === given.length && nodes.every((node, i) => node === given[i]) ? given : nodes
}

/** Depth first without recursion, so that very deep networks do not exhaust the stack. */
function topologicalOrder(nodes: readonly Node[], available: ReadonlySet<string>): Node[] {
  const producer = new Map<string, Node>()
  for (const node of nodes) for (const name of node.outputs) if (name !== '') producer.set(name, node)
  const state = new Map<Node, 'open' | 'done'>()
  const order: Node[] = []
  for (const root of nodes) {
    const stack = state.has(root) ? [] : [{ node: root, next: 0 }]
    state.set(root, state.get(root) ?? 'open')
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const { node } = frame
      if (frame.next === node.inputs.length) {
        state.set(node, 'done')
        order.push(node)
        stack.pop()
        continue
      }
      const name = node.inputs[frame.next++]
      const source = name === '' || available.has(name) ? undefined : producer.get(name)
      if (source === undefined || state.get(source) === 'done') continue
      if (state.get(source) === 'open') {
        throw new GraphError('BAD_GRAPH', `${describeNode(source)} depends on its own result: the nodes form a cycle.`,
          { op: source.op })
      }
      state.set(source, 'open')
      stack.push({ node: source, next: 0 })
    }
  }
  return order
}

/** The graph without nodes and initialisers that no output needs; parameters stay, since they make up theta. */
export function removeDead(graph: Graph): Graph {
  const needed = new Set(graph.outputs)
  const nodes: Node[] = []
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]
    if (!node.outputs.some(name => needed.has(name))) continue
    nodes.push(node)
    for (const name of node.inputs) needed.add(name)
  }
  for (const { name } of graph.parameters) needed.add(name)
  const kept = [...graph.initializers].filter(([name]) => needed.has(name))
  return { ...graph, nodes: sameOr(graph.nodes, nodes.reverse()),
    initializers: kept.length === graph.initializers.size ? graph.initializers : new Map(kept) }
}

/** What constant folding may take for constant. */
export interface FoldOptions {
  /**
   * Treat parameters as constants too: for running only, since the result cannot be differentiated with respect to
   * them.
   */
  readonly foldParameters?: boolean
}

/**
 * The graph with everything that does not depend on the inputs (nor on parameters, unless asked) worked out, and the
 * types that its values have had before: they keep them.
 */
function folded(graph: Graph, { foldParameters = false }: FoldOptions): { graph: Graph, types: Types } {
  const source = foldParameters ? { ...graph, parameters: [] } : graph
  const types = inferTypes(source)
  const parameters = new Set(source.parameters.map(parameter => parameter.name))
  const known = new Map<string, Tensor>([...source.initializers].filter(([name]) => !parameters.has(name)))
  const initializers = new Map(source.initializers)
  const count = foldingMeter([...source.initializers.values()].reduce((sum, value) => sum + value.data.length, 0))
  const nodes = source.nodes.filter(node => {
    const values = constantOutputs(node, known, types, count)
    if (values === undefined) return true
    node.outputs.forEach((name, i) => {
      if (name === '' || values[i] === undefined) return
      known.set(name, values[i])
      initializers.set(name, values[i])
    })
    return false
  })
  const same = nodes.length === source.nodes.length
  return { graph: removeDead(same ? graph : { ...graph, nodes, initializers }), types }
}

function constantOutputs(node: Node, known: ReadonlyMap<string, Tensor>, types: ReadonlyMap<string, InferredValue>,
  count: (node: Node, elements: number) => void): readonly Tensor[] | undefined {
  const inferred = node.outputs.map(name => types.get(name)?.constant)
  if (inferred.every((value): value is Tensor => value !== undefined)) return inferred
  const inputs = node.inputs.map(name => (name === '' ? undefined : known.get(name)))
  if (node.inputs.some((name, i) => name !== '' && inputs[i] === undefined)) return undefined
  count(node, node.outputs.reduce((sum, name) => sum + elementsPerExample(types.get(name)?.shape ?? []), 0))
  return operatorFor(node.op).run(node, inputs, heapContext)
}

/** Nodes that may do nothing but rename their input, when type and shape stay the same. */
const RENAMING = new Set(['Identity', 'Dropout', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Expand'])

/** The graph without nodes that pass their input on unchanged; names of outputs stay. */
function withoutIdentities(graph: Graph, types: Types): Graph {
  const renamed = new Map<string, string>()
  const outputs = new Set(graph.outputs)
  const nodes: Node[] = []
  for (const original of graph.nodes) {
    const node = original.inputs.some(name => renamed.has(name))
      ? { ...original, inputs: original.inputs.map(name => renamed.get(name) ?? name) }
      : original
    const [input, output] = [node.inputs[0], node.outputs[0]]
    if (passesOn(node, types) && !outputs.has(output) && node.outputs.slice(1).every(name => !isUsed(graph, name))) {
      renamed.set(output, input)
    } else nodes.push(node)
  }
  return removeDead({ ...graph, nodes: sameOr(graph.nodes, nodes) })
}

function passesOn(node: Node, types: Types): boolean {
  if (!RENAMING.has(node.op) && !isIdentityTransposition(node)) return false
  if (node.op === 'Cast' && node.attributes['storage'] !== undefined) return false
  const [from, to] = [types.get(node.inputs[0]), types.get(node.outputs[0])]
  if (from === undefined || to === undefined) {
    throw new InternalError(`The types of ${describeNode(node)} are not known.`)
  }
  return from.dtype === to.dtype && sameShape(from.shape, to.shape)
}

function isIdentityTransposition({ op, attributes: { perm } }: Node): boolean {
  return op === 'Transpose' && Array.isArray(perm) && perm.every((axis, i) => axis === i)
}

function isUsed(graph: Graph, name: string): boolean {
  return graph.outputs.includes(name) || graph.nodes.some(node => node.inputs.includes(name))
}

/**
 * Sorted, checked, folded: what differentiation and the engines start from.
 * @throws GraphError BAD_GRAPH, BATCH_AXIS, UNSUPPORTED_OPERATOR
 */
export function simplify(graph: Graph, options: FoldOptions = {}): Graph {
  const { graph: constant, types } = folded(removeDead(sortNodes(graph)), options)
  const simple = withoutIdentities(constant, types)
  if (options.foldParameters !== true) rememberTypes(simple, types)
  return simple
}
