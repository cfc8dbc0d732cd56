/**
 * @file Networks exported for one fixed batch size: the leading axis of the input becomes the batch axis, where every
 * operator keeps the examples apart; else each example is computed alone.
 */
import { GraphError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph, type GraphInput, isBatch, type Node } from '../../core/graph/graph.js'
import { isSupported } from '../../core/ops/registry.js'
import { elementsPerExample, knownDims } from '../../core/ops/shape-rules.js'
import { givenTypes, inferNode, inferTypes } from '../../core/passes/infer.js'
import { tensor } from '../../core/tensor/tensor.js'
import { amongCopies, answersOnce, apartByNumbers, eachAlone, type ForExamples, reasonOf,
  TRIED } from './examples-together.js'
import { withOpenBatch } from './open-batch.js'
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

/**
 * The graph with a batch axis, where the file has none: its first axis where the operators keep the examples apart;
 * else a file for single examples is written so that each is computed alone. A note says what was done.
 * @param forExamples the network of a file that declares any number of examples, for a fixed one
 */
export function findBatchAxis(graph: Graph, forExamples: ForExamples): TypedGraph {
  if (graph.inputs.some(input => input.shape.some(isBatch))) return withExamplesApart(graph, forExamples)
  const reasons: string[] = []
  for (const { inputs, axis } of candidates(graph.inputs)) {
    const found = withBatchAxis(graph, inputs, axis)
    if (typeof found !== 'string') return found
    reasons.push(found)
  }
  const { single, alone } = withoutBatchAxis(graph)
  if (typeof alone !== 'string') return noted(typed(alone), aloneNote(alone, reasons[0] ?? 'no axis is one'))
  const shapes = graph.inputs.map(({ name, shape }) => `'${name}' (${shape.join(' x ')})`).join(', ')
  return noted({ graph: alone === '' ? graph : { ...graph, inseparable: alone }, types: knownTypes(graph) },
    `The network takes one batch of a fixed size, and no axis of its input ${shapes} can carry the examples` +
      `${alone === '' ? '' : ` (${alone})`}; export it with a dynamic first axis${
        single ? '' : ', or for a batch of one example'
      }.`)
}

/** The network with each example computed alone, or why not; and whether its file is for single examples. */
function withoutBatchAxis(graph: Graph): { readonly single: boolean, readonly alone: Graph | string } {
  const single = isForOneExample(graph)
  // A column of B x 1 may be B numbers of one example as well as B examples of one number.
  const columns = graph.inputs.every(({ shape }) => shape.length === 2 && shape[0] !== 1)
  const among = single && !columns ? '' : fixedBatchAlone(graph)
  const one = single || (graph.inputs.length > 0 && answersOnce(graph))
  return { single, alone: one && typeof among === 'string' ? eachAlone(graph) : among }
}

function aloneNote({ together }: Graph, reason: string): string {
  if (together === undefined) {
    return `The network was exported for single examples, and does not keep the examples apart (${reason}); each ` +
      'example is computed on its own, as the file does.'
  }
  const [{ shape: [size] }] = together.inputs
  return `The network was exported for batches of ${String(size)} examples, and its operators do not show that it ` +
    `keeps them apart (${reason}); it does for random numbers, and each example is computed on its own, in a batch ` +
    'of copies of itself.'
}

/**
 * The network for a fixed number of examples with each computed among copies of itself; else why not. Only of the first
 * axis: on another one, numbers would take heads and positions for examples, which are alike where examples are not.
 */
function fixedBatchAlone(graph: Graph): Graph | string {
  const whole = candidates(graph.inputs).find(({ inputs, axis }) => axis === 0 && inputs.length === graph.inputs.length)
  return whole === undefined ? '' : amongCopies(graph, 0)
}

function noted({ graph, types }: TypedGraph, note: string): TypedGraph {
  return { graph: { ...graph, notes: [...graph.notes, note] }, types }
}

/** Whether every input holds one example: an axis of length 1 in front, or no axis for examples. */
function isForOneExample({ inputs }: Graph): boolean {
  return inputs.length > 0 &&
    inputs.every(({ shape, openAxes }) =>
      openAxes === undefined && (shape.length === 1 || shape.slice(0, 2).includes(1))
    )
}

/** A network for any number of examples, each computed alone where nothing but the numbers keeps them apart. */
function withExamplesApart(graph: Graph, forExamples: ForExamples): TypedGraph {
  const asItIs = { graph, types: knownTypes(graph) }
  const known = graph.outputs.every(name => asItIs.types.has(name))
  // An input without an axis for the examples is one of them all: no example has it alone.
  const each = graph.inputs.every(({ shape, openAxes }) => shape.some(isBatch) && openAxes === undefined)
  const alone = known || !each ? '' : apartByNumbers(graph, forExamples)
  if (typeof alone === 'string') return asItIs
  return noted(typed(alone), alone.together === undefined
    ? 'The network declares any number of examples and works for one at a time; each is computed on its own.'
    : 'The operators of the network do not show that it keeps the examples of a batch apart; it ' +
      `does for ${TRIED} examples of random numbers, and each example is computed on its own.`)
}

function typed(graph: Graph): TypedGraph {
  return { graph, types: new Map(inferTypes(graph)) }
}

/**
 * What to try: the only axis of inputs that all have one number an example; else the first axis, or the second one,
 * which carries the examples of sequences that have time first; of all inputs that have the same length there, those
 * with one number an example among them or not, else of the first input alone. Where the first axis is for one example,
 * the second one is none of examples.
 */
function candidates(inputs: readonly GraphInput[]): { readonly inputs: readonly string[], readonly axis: number }[] {
  if (inputs.length > 0 && inputs.every(({ shape }) => shape.length === 1 && shape[0] === inputs[0].shape[0])) {
    return [{ inputs: inputs.map(({ name }) => name), axis: 0 }]
  }
  const leads = [0, 1].flatMap(axis => {
    const lead = inputs.find(({ shape }) => shape.length >= axis + 2)
    return lead === undefined || (axis === 1 && lead.shape[0] === 1) ? [] : [{ lead, axis }]
  })
  const choices = [1, 2].flatMap(beyond =>
    leads.map(({ lead, axis }) => ({ axis, inputs: inputs.filter(({ shape }) =>
      shape.length >= axis + beyond && shape[axis] === lead.shape[axis]
    )
      .map(({ name }) => name) })
    )
  )
  const all = [...choices, ...leads.map(({ lead, axis }) => ({ axis, inputs: [lead.name] }))]
  const isSame = (a: typeof all[number], b: typeof all[number]): boolean =>
    a.axis === b.axis && a.inputs.join('\n') === b.inputs.join('\n')
  return all.filter((choice, i) => all.findIndex(other => isSame(choice, other)) === i)
}

/** The graph with an axis of the inputs as that of the examples; the reason where a node does not allow it. */
function withBatchAxis(graph: Graph, names: readonly string[], axis: number): TypedGraph | string {
  const size = Number(graph.inputs.find(({ name }) => name === names[0])?.shape[axis])
  const withBatch = (input: GraphInput): GraphInput => ({ ...input,
    shape: input.shape.map((dim, i) => (i === axis ? BATCH : dim)) })
  const inputs = graph.inputs.map(input => (names.includes(input.name) ? withBatch(input) : input))
  const builder = GraphBuilder.from({ ...graph, inputs }, 'float32')
  const types = givenTypes({ ...graph, inputs })
  builder.nodes.length = 0
  const reason = appendForAnyBatch(graph.nodes, { builder, types }, size)
  if (reason !== undefined) return reason
  if (!graph.outputs.some(name => types.get(name)?.shape.some(isBatch) ?? true)) return 'its outputs do not follow it'
  const batches = size === 1 ? 'single examples' : `batches of ${size} examples`
  builder.notes.push(
    `The network was exported for ${batches}; the ${
      axis === 0 ? 'first' : 'second'
    } axis of its input is taken as the batch axis, of any length.`,
  )
  return { graph: builder.build(graph.outputs), types }
}

/** The graph being written. */
interface Writing {
  readonly builder: GraphBuilder
  readonly types: KnownTypes
}

/** A Reshape whose target can carry the examples on several axes, of which the first ones have been tried. */
interface Choice {
  /** The place of the Reshape, and how many nodes had been written before it. */
  readonly index: number
  readonly written: number
  readonly forms: Node[]
}

/** Choices that are taken back at most; wrong ones are noticed within a few nodes. */
const MOST_RETRIES = 2000

/**
 * Appends the nodes for any number of examples. Where a fixed number could lie on several axes, the one is taken with
 * which all nodes behind keep the examples apart; whichever that is, each example gets what it got alone.
 * @returns where there is none, why
 */
function appendForAnyBatch(nodes: readonly Node[], { builder, types }: Writing, size: number): string | undefined {
  const append = (node: Node): void => {
    builder.nodes.push(node)
    if (isSupported(node.op) && node.inputs.every(name => name === '' || types.has(name))) inferNode(node, types)
  }
  const choices: Choice[] = []
  let forms: Node[] | undefined
  for (let [index, retries] = [0, 0]; index < nodes.length; index++) {
    try {
      const node = nodes[index]
      const written = builder.nodes.length
      if (node.op === 'Reshape') {
        forms ??= withOpenTarget(builder, types, node, size)
        const [first = node, ...others] = forms
        forms = undefined
        if (others.length > 0) choices.push({ index, written, forms: others })
        append(first)
      } else append(withOpenBatch(node, { builder, types, append }, size))
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      const last = choices.pop()
      if (last === undefined || ++retries > MOST_RETRIES) return reasonOf(error)
      for (const { outputs } of builder.nodes.splice(last.written)) for (const name of outputs) types.delete(name)
      forms = last.forms
      index = last.index - 1
    }
  }
  return undefined
}

/** A Reshape to a fixed number of examples in the forms that leave it open; none where it need not be changed. */
function withOpenTarget(builder: GraphBuilder, types: KnownTypes, node: Node, size: number): Node[] {
  const shape = types.get(node.inputs[0])?.shape
  const target = knownDims(types.get(node.inputs[1]))
  const position = shape?.findIndex(isBatch) ?? -1
  const batch = shape?.[position]
  if (shape === undefined || batch === undefined || !isBatch(batch) || target === undefined || target.some(isBatch)) {
    return []
  }
  const before = elementsPerExample(shape.slice(0, position)) * batch.outer
  const after = batch.inner * elementsPerExample(shape.slice(position + 1))
  const copied = target.map((dim,
    i) => (dim === 0 && node.attributes['allowzero'] !== 1 ? concrete(shape[i], size) : Number(dim))
  )
  const given = copied.filter(dim => dim !== -1).reduce((product, dim) => product * dim, 1)
  const lengths = copied.map(dim => (dim === -1 ? before * size * after / given : dim))
  return batchPositions(lengths, { before, after, size }).map(axis => {
    // Lengths that the target leaves to the value stay so where they are copied: they may be open.
    const open = lengths.map((length, i) => {
      if (i === axis) return -1
      return copied[i] !== target[i] || (target[i] === -1 && shape[i] === length) ? 0 : length
    })
    const value = tensor('int64', [open.length], open)
    const name = builder.constant(value, 'shape')
    types.set(name, { dtype: 'int64', shape: value.shape, constant: value })
    return { ...node, inputs: [node.inputs[0], name], attributes: {} }
  })
}

/** The axes that can hold whole examples, `outer` x size x `inner`; fewest elements before them first. */
function batchPositions(lengths: readonly number[],
  { before, after, size }: { readonly before: number, readonly after: number, readonly size: number }): number[] {
  return lengths.flatMap((length, axis) => {
    const outer = before / product(lengths.slice(0, axis))
    const inner = after / product(lengths.slice(axis + 1))
    return Number.isInteger(outer) && Number.isInteger(inner) && outer * size * inner === length
      ? [{ axis, outer }]
      : []
  }).sort((a, b) => a.outer - b.outer).map(({ axis }) => axis)
}

function concrete(dim: Graph['inputs'][number]['shape'][number] | undefined, size: number): number {
  return dim === undefined ? 0 : isBatch(dim) ? dim.outer * size * dim.inner : dim
}

function product(values: readonly number[]): number {
  return values.reduce((result, value) => result * value, 1)
}
