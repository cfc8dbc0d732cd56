/**
 * @file Networks exported for one fixed batch size: the leading axis of the input becomes the batch axis, where every
 * operator keeps the examples apart.
 */
import { GraphError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph, type GraphInput, isBatch, type Node } from '../../core/graph/graph.js'
import { isSupported } from '../../core/ops/registry.js'
import { elementsPerExample, knownDims } from '../../core/ops/shape-rules.js'
import { givenTypes, inferNode } from '../../core/passes/infer.js'
import { tensor } from '../../core/tensor/tensor.js'
import { inferIfKnown, type KnownTypes } from './upgrade-context.js'

/** A graph and what is known of its values. */
export interface TypedGraph {
  readonly graph: Graph
  readonly types: KnownTypes
}

/** The types of a graph's values, as far as its operators are supported and its shapes fit. */
export function knownTypes(graph: Graph): KnownTypes {
  const types = givenTypes(graph)
  for (const node of graph.nodes) inferIfKnown(node, types)
  return types
}

/** The graph with a batch axis, where the file has none and the operators allow one; a note says what was done. */
export function findBatchAxis(graph: Graph): TypedGraph {
  if (graph.inputs.some(input => input.shape.some(isBatch))) return { graph, types: knownTypes(graph) }
  for (const { inputs, axis } of candidates(graph.inputs)) {
    for (const merge of [true, false]) {
      const found = withBatchAxis(graph, inputs, axis, merge)
      if (found !== undefined) return found
    }
  }
  const shapes = graph.inputs.map(({ name, shape }) => `'${name}' (${shape.join(' x ')})`).join(', ')
  const notes = [...graph.notes,
    `The network takes one batch of a fixed size, and no axis of its input ${shapes} can carry the examples; ` +
    'export it with a dynamic first axis.']
  return { graph: { ...graph, notes }, types: knownTypes(graph) }
}

/**
 * What to try: the first axis, or the second one, which carries the examples of sequences that have time first; of all
 * inputs that have the same length there, else of the first input alone.
 */
function candidates(inputs: readonly GraphInput[]): { readonly inputs: readonly string[], readonly axis: number }[] {
  const axes = [0, 1].filter(axis => inputs.length > 0 && inputs[0].shape.length >= axis + 2)
  const alike = (axis: number): string[] =>
    inputs.filter(({ shape }) => shape.length >= axis + 2 && shape[axis] === inputs[0].shape[axis]).map(({ name }) =>
      name
    )
  return [...axes.map(axis => ({ inputs: alike(axis), axis })),
    ...axes.filter(axis => alike(axis).length > 1).map(axis => ({ inputs: [inputs[0].name], axis }))]
}

function withBatchAxis(graph: Graph, names: readonly string[], axis: number, merge: boolean): TypedGraph | undefined {
  const size = Number(graph.inputs[0].shape[axis])
  const withBatch = (input: GraphInput): GraphInput => ({ ...input,
    shape: input.shape.map((dim, i) => (i === axis ? BATCH : dim)) })
  const inputs = graph.inputs.map(input => (names.includes(input.name) ? withBatch(input) : input))
  const builder = GraphBuilder.from({ ...graph, inputs }, 'float32')
  const types = givenTypes({ ...graph, inputs })
  builder.nodes.length = 0
  try {
    for (const node of graph.nodes) appendForAnyBatch(builder, types, node, { size, merge })
  } catch (error) {
    if (error instanceof GraphError) return undefined
    throw error
  }
  if (!graph.outputs.some(name => types.get(name)?.shape.some(isBatch) ?? true)) return undefined
  const batches = size === 1 ? 'single examples' : `batches of ${size} examples`
  builder.notes.push(
    `The network was exported for ${batches}; the ${
      axis === 0 ? 'first' : 'second'
    } axis of its input is taken as the batch axis, of any length.`,
  )
  return { graph: builder.build(graph.outputs), types }
}

/**
 * How a fixed number of examples is found in a target shape: `size` of them. Where several axes could carry them, a
 * batch axis that is merged with axes before it is preferred (`merge`), or one that stays apart from them.
 */
interface FixedBatch {
  readonly size: number
  readonly merge: boolean
}

/** Appends a node; a Reshape to a fixed number of examples is given one that leaves it open. */
function appendForAnyBatch(builder: GraphBuilder, types: KnownTypes, node: Node, fixed: FixedBatch): void {
  const current = node.op === 'Reshape' ? withOpenTarget(builder, types, node, fixed) : node
  builder.nodes.push(current)
  if (isSupported(current.op) && current.inputs.every(name => name === '' || types.has(name))) inferNode(current, types)
}

function withOpenTarget(builder: GraphBuilder, types: KnownTypes, node: Node, { size, merge }: FixedBatch): Node {
  const shape = types.get(node.inputs[0])?.shape
  const target = knownDims(types.get(node.inputs[1]))
  const position = shape?.findIndex(isBatch) ?? -1
  const batch = shape?.[position]
  if (shape === undefined || batch === undefined || !isBatch(batch) || target === undefined || target.some(isBatch)) {
    return node
  }
  const before = elementsPerExample(shape.slice(0, position)) * batch.outer
  const after = batch.inner * elementsPerExample(shape.slice(position + 1))
  const copied = target.map((dim,
    i) => (dim === 0 && node.attributes['allowzero'] !== 1 ? concrete(shape[i], size) : Number(dim))
  )
  const given = copied.filter(dim => dim !== -1).reduce((product, dim) => product * dim, 1)
  const lengths = copied.map(dim => (dim === -1 ? before * size * after / given : dim))
  const axis = batchPosition(lengths, { before, after, size, merge })
  if (axis < 0) return node
  // Lengths that the target leaves to the value stay so where they are copied: they may be open.
  const open = lengths.map((length,
    i) => (i === axis ? -1 : copied[i] !== target[i] || (target[i] === -1 && shape[i] === length) ? 0 : length)
  )
  const value = tensor('int64', [open.length], open)
  const name = builder.constant(value, 'shape')
  types.set(name, { dtype: 'int64', shape: value.shape, constant: value })
  return { ...node, inputs: [node.inputs[0], name], attributes: {} }
}

/** The axis that holds whole examples: `outer` x size x `inner`. */
function batchPosition(lengths: readonly number[],
  { before, after, size, merge }: FixedBatch & { readonly before: number, readonly after: number }): number {
  const possible = lengths.flatMap((length, axis) => {
    const outer = before / product(lengths.slice(0, axis))
    const inner = after / product(lengths.slice(axis + 1))
    return Number.isInteger(outer) && Number.isInteger(inner) && outer * size * inner === length
      ? [{ axis, outer }]
      : []
  })
  if (!merge) possible.sort((a, b) => a.outer - b.outer)
  return possible[0]?.axis ?? -1
}

function concrete(dim: Graph['inputs'][number]['shape'][number] | undefined, size: number): number {
  return dim === undefined ? 0 : isBatch(dim) ? dim.outer * size * dim.inner : dim
}

function product(values: readonly number[]): number {
  return values.reduce((result, value) => result * value, 1)
}
