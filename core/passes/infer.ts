/** @file Shape inference: what is known of every value of a graph before it runs. */
import { GraphError } from '../errors/errors.js'
import { type Graph, isBatch, type Node } from '../graph/graph.js'
import { batchAxisError, describeNode } from '../ops/node-attributes.js'
import type { InferredValue, KernelContext } from '../ops/operator.js'
import { operatorFor } from '../ops/registry.js'
import { formatDims } from '../ops/shape-rules.js'
import { allocate, sizeOf, type Tensor, tensor } from '../tensor/tensor.js'
import { checkValueSize } from './value-limits.js'

/**
 * Constants up to this many elements are worked out while shapes are inferred; longer ones when the graph is folded.
 */
const LARGEST_KNOWN_VALUE = 1 << 16

/** When this many elements have been worked out, only shapes are: values of very few elements. */
const MOST_KNOWN_VALUES = 1 << 22
const SMALLEST_KNOWN_VALUE = 64
/** Elements worked out so far, by the map of types that they went into. */
const evaluated = new WeakMap<object, number>()

/** What was found out before, by the nodes: passes hand on what they do not change, and ask again and again. */
const inferredBefore = new WeakMap<Graph['nodes'], (Pick<Graph, 'inputs' | 'initializers' | 'parameters'> & {
  readonly types: ReadonlyMap<string, InferredValue>
})[]>()

/**
 * Storage from the heap, for single evaluations. Constants last as long as the graph: from a pool they would be written
 * over by later nodes.
 */
export const heapContext: KernelContext = { allocate }

/**
 * Type, symbolic shape and, where it does not depend on the inputs or on a parameter, the value of everything in a
 * graph whose nodes are in topological order.
 * @throws GraphError BATCH_AXIS when a node would mix examples, UNSUPPORTED_OPERATOR, BAD_GRAPH
 */
export function inferTypes(graph: Graph): ReadonlyMap<string, InferredValue> {
  const { nodes, inputs, initializers, parameters } = graph
  const before = inferredBefore.get(nodes)?.find(each =>
    each.inputs === inputs && each.initializers === initializers &&
    each.parameters === parameters
  )
  if (before !== undefined) return before.types
  const types = givenTypes(graph)
  for (const node of nodes) inferNode(node, types)
  keepTypes(graph, types)
  return types
}

function keepTypes({ nodes, inputs, initializers, parameters }: Graph,
  types: ReadonlyMap<string, InferredValue>): void {
  inferredBefore.set(nodes, [...inferredBefore.get(nodes) ?? [], { inputs, initializers, parameters, types }])
}

/** Spares inferring the types of a graph that was made from another one, whose values have kept theirs. */
export function rememberTypes(graph: Graph, before: ReadonlyMap<string, InferredValue>): void {
  const types = givenTypes(graph)
  for (const { outputs } of graph.nodes) {
    for (const name of outputs) {
      const type = before.get(name)
      if (type !== undefined) types.set(name, type)
    }
  }
  keepTypes(graph, types)
}

/** What a pass makes of a graph, where it keeps every value or leaves it out: none has its type inferred again. */
export function keepingTypes(graph: Graph, pass: (graph: Graph) => Graph): Graph {
  const changed = pass(graph)
  if (changed !== graph) rememberTypes(changed, inferTypes(graph))
  return changed
}

/** The types of the values that a graph starts from: its inputs and initialisers. @throws GraphError BATCH_AXIS */
export function givenTypes(graph: Graph): Map<string, InferredValue> {
  const types = new Map<string, InferredValue>()
  const parameters = new Set(graph.parameters.map(parameter => parameter.name))
  for (const { name, dtype, shape } of graph.inputs) {
    if (shape.filter(isBatch).length > 1) {
      throw new GraphError('BATCH_AXIS',
        `The input '${name}' of shape ${formatDims(shape)} has several batch axes; expected one at most.`, { name })
    }
    types.set(name, { dtype, shape, ofInput: true })
  }
  for (const [name, value] of graph.initializers) {
    types.set(name, { dtype: value.dtype, shape: value.shape, ...(parameters.has(name) ? {} : { constant: value }) })
  }
  return types
}

/** Adds the types of a node's outputs. @throws GraphError as `inferTypes` does */
export function inferNode(node: Node, types: Map<string, InferredValue>): void {
  const inputs = node.inputs.map(name => (name === '' ? undefined : inputType(node, name, types)))
  const outputs = operatorFor(node.op).infer(node, inputs)
  for (const output of outputs) checkValueSize(node, inputs, output)
  const known = evaluate(node, inputs, outputs, types)
  const ofInput = inputs.some(input => input?.ofInput === true)
  node.outputs.forEach((name, i) => {
    if (name === '') return
    const inferred = outputs.at(i)
    if (inferred === undefined) {
      throw new GraphError('BAD_GRAPH',
        `${describeNode(node)} names ${node.outputs.length} outputs, and the operator has ${outputs.length}.`, {
        op: node.op,
        name,
      })
    }
    if (inferred.shape.filter(isBatch).length > 1) {
      throw batchAxisError(node, `its result of shape ${formatDims(inferred.shape)} has several batch axes.`)
    }
    const constant = inferred.constant ?? known?.[i] ?? constantDims(inferred)
    if (constant !== undefined) types.set(name, { ...inferred, constant })
    else types.set(name, ofInput ? { ...inferred, ofInput } : inferred)
  })
}

function inputType(node: Node, name: string, types: ReadonlyMap<string, InferredValue>): InferredValue {
  const type = types.get(name)
  if (type === undefined) {
    throw new GraphError('BAD_GRAPH', `${describeNode(node)}: its input '${name}' is not computed by an earlier node.`,
      { op: node.op, name })
  }
  return type
}

/** The values of a node whose inputs are all known. */
function evaluate(node: Node, inputs: readonly (InferredValue | undefined)[], outputs: readonly InferredValue[],
  types: object): readonly Tensor[] | undefined {
  if (outputs.every(output => output.constant !== undefined)) return undefined
  if (inputs.some(input => input !== undefined && input.constant === undefined)) return undefined
  const size = outputs.reduce((sum, { shape }) => sum + sizeOf(shape.map(dim => (isBatch(dim) ? Infinity : dim))), 0)
  const before = evaluated.get(types) ?? 0
  if (!(size <= (before < MOST_KNOWN_VALUES ? LARGEST_KNOWN_VALUE : SMALLEST_KNOWN_VALUE))) return undefined
  evaluated.set(types, before + size)
  return operatorFor(node.op).run(node, inputs.map(input => input?.constant), heapContext)
}

/** Integers computed from shapes are known when the batch size is not among them. */
function constantDims({ dims, shape, dtype }: InferredValue): Tensor | undefined {
  if (dims === undefined || dims.some(isBatch)) return undefined
  return tensor(dtype, shape as readonly number[], dims as readonly number[])
}
