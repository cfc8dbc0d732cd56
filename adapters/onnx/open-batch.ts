/**
 * @file Nodes that were written for a fixed number of examples, and what they are for any number: constants that repeat
 * one row for each example, targets and ends that count them.
 */
import type { GraphBuilder } from '../../core/graph/builder.js'
import { batchAxis, type BatchDim, type Dim, isBatch, type Node } from '../../core/graph/graph.js'
import type { InferredValue } from '../../core/ops/operator.js'
import { knownDims } from '../../core/ops/shape-rules.js'
import { sizeOf, type Tensor, tensor } from '../../core/tensor/tensor.js'
import type { KnownTypes } from './upgrade-context.js'

/** The graph being written. */
interface Writing {
  readonly builder: GraphBuilder
  readonly types: KnownTypes
  append(node: Node): void
}

/** Ends of slices from here on mean "to the end". */
const UNBOUNDED = Number.MAX_SAFE_INTEGER

/** Operators whose operands are broadcast to each other. */
const BROADCAST = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Where', 'Equal', 'Less', 'Greater', 'LessOrEqual',
  'GreaterOrEqual', 'And', 'Or', 'Max', 'Min', 'PRelu', 'Mod', 'Sum', 'Mean'])

/** A node for any number of examples; the same node where nothing in it counts `size` of them. */
export function withOpenBatch(node: Node, writing: Writing, size: number): Node {
  if (node.op === 'Concat' || node.op === 'ScatterElements' || node.op === 'GatherElements') {
    return withRepeatedRows(node, writing, size)
  }
  if (BROADCAST.has(node.op)) return withOneRow(node, writing, size)
  const [x] = node.inputs
  if (node.op === 'Expand' && writing.types.get(x)?.constant !== undefined) return withExpandedRow(node, writing, size)
  const type = writing.types.get(x)
  const axis = type === undefined ? -1 : batchAxis(type)
  if (type === undefined || axis < 0) return node
  switch (node.op) {
    case 'Expand':
      return withIntegers(node, writing, 1, target => {
        const at = axis + target.length - type.shape.length
        return target[at] === concrete(type.shape[axis], size) ? target.with(at, 1) : target
      })
    case 'RNN':
    case 'GRU':
    case 'LSTM':
      return withInitialStates(node, writing, axis, size)
    case 'Slice':
      return withOpenEnd(node, writing, type, axis, size)
    case 'Resize':
      return withoutBatchSize(node, writing, type, axis, size)
    default:
      return node
  }
}

function concrete(dim: Dim, size: number): number {
  return isBatch(dim) ? dim.outer * size * dim.inner : dim
}

/** The node with an integer constant among its inputs changed. */
function withIntegers(node: Node, { builder, types }: Writing, index: number,
  change: (values: readonly number[]) => readonly number[]): Node {
  const value = types.get(node.inputs[index] ?? '')?.constant
  if (value === undefined) return node
  const before = Array.from(value.data)
  const after = change(before)
  if (after.every((each, i) => each === before[i])) return node
  const constant = tensor('int64', [after.length], after)
  const name = builder.constant(constant, 'integers')
  types.set(name, { dtype: 'int64', shape: constant.shape, constant })
  return { ...node, inputs: node.inputs.with(index, name) }
}

/** A constant with the same row for each example, expanded to the number of examples: that row. */
function withExpandedRow(node: Node, writing: Writing, size: number): Node {
  const constant = writing.types.get(node.inputs[0])?.constant
  const target = knownDims(writing.types.get(node.inputs[1]))
  const axis = (target?.findIndex(isBatch) ?? -1) - (target?.length ?? 0) + (constant?.shape.length ?? 0)
  const row = constant === undefined || target?.some(isBatch) !== true ? undefined : commonRow(constant, axis, size)
  return row === undefined ? node : { ...node, inputs: node.inputs.with(0, rowOf(node.inputs[0], row, writing)) }
}

/** Initial states that are the same for every example, directions x N x units; zeros are left out. */
function withInitialStates(node: Node, writing: Writing, axis: number, size: number): Node {
  if (axis !== 1) return node
  return { ...node, inputs: node.inputs.map((name, i) => {
    const value = i < 5 || i > 6 ? undefined : writing.types.get(name)?.constant
    if (value?.data.every(each => each === 0) === true) return ''
    return value === undefined ? name : repeatedRows(name, value, node.inputs[0], axis, size, writing)
  }) }
}

/** All examples from the first one on are all of them, however many. */
function withOpenEnd(node: Node, writing: Writing, type: InferredValue, axis: number, size: number): Node {
  const rank = type.shape.length
  const list = (index: number): readonly number[] | undefined => {
    const constant = writing.types.get(node.inputs[index] ?? '')?.constant
    return constant === undefined ? undefined : Array.from(constant.data)
  }
  const [starts, axes] = [list(1), list(3)]
  if (starts === undefined) return node
  const at = axes === undefined ? axis : axes.findIndex(each => (each + rank) % rank === axis)
  return at < 0 || starts[at] !== 0
    ? node
    : withIntegers(node, writing, 2, ends => {
      const end = ends[at] as number | undefined
      return end === concrete(type.shape[axis], size) ? ends.with(at, UNBOUNDED) : ends
    })
}

/** Sizes of all axes, of which that of the examples stays: those of the others. */
function withoutBatchSize(node: Node, writing: Writing, type: InferredValue, axis: number, size: number): Node {
  const sizes = writing.types.get(node.inputs[3] ?? '')?.constant
  if (sizes === undefined || node.attributes['axes'] !== undefined || sizes.data.length !== type.shape.length ||
    sizes.data[axis] !== concrete(type.shape[axis], size)) return node
  const axes = [...type.shape.keys()].filter(each => each !== axis)
  return { ...withIntegers(node, writing, 3, values => axes.map(each => values[each])),
    attributes: { ...node.attributes, axes } }
}

/** The first of `size` rows along an axis that are all the same; undefined where they differ. */
function commonRow({ dtype, shape, data }: Tensor, axis: number, size: number): Tensor | undefined {
  if (shape[axis] !== size) return undefined
  const [outer, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))]
  const row: number[] = []
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const first = data[o * size * inner + i]
      for (let k = 1; k < size; k++) if (!Object.is(data[(o * size + k) * inner + i], first)) return undefined
      row.push(first)
    }
  }
  return tensor(dtype, shape.map((extent, i) => (i === axis ? 1 : extent)), row)
}

/**
 * The name of a constant with one row. A computed one is cut, not copied: it may be made of parameters, which learn
 * through it.
 */
function rowOf(name: string, row: Tensor, { builder, types, append }: Writing): string {
  const shape = types.get(name)?.shape ?? row.shape
  const axis = shape.findIndex((extent, i) => extent !== row.shape[i])
  if (axis < 0) return name
  if (!builder.initializers.has(name)) {
    const bounds = [0, 1, axis].map(value => {
      const bound = tensor('int64', [1], [value])
      const made = builder.constant(bound, 'integers')
      types.set(made, { dtype: 'int64', shape: [1], constant: bound })
      return made
    })
    const cut = builder.fresh(name)
    append({ op: 'Slice', inputs: [name, ...bounds], outputs: [cut], attributes: {} })
    return cut
  }
  const found = builder.constant(row, name)
  types.set(found, { dtype: row.dtype, shape: row.shape, constant: row })
  return found
}

/** Where a constant has the same row for each example, that row is broadcast. */
function withOneRow(node: Node, writing: Writing, size: number): Node {
  const shapes = node.inputs.map(name => writing.types.get(name))
  const rank = Math.max(0, ...shapes.map(type => type?.shape.length ?? 0))
  const fromEnd = shapes.flatMap(type => {
    const axis = type === undefined ? -1 : batchAxis(type)
    return type === undefined || axis < 0 ? [] : [{ at: axis - type.shape.length, dim: type.shape[axis] as BatchDim }]
  })
  if (size === 1 || rank === 0 || fromEnd.length === 0 || fromEnd[0].dim.inner !== 1) return node
  return { ...node, inputs: node.inputs.map((name, i) => {
    const constant = shapes[i]?.constant
    const axis = fromEnd[0].at + (constant?.shape.length ?? 0)
    const row = constant === undefined || axis < 0 ? undefined : commonRow(constant, axis, size)
    return row === undefined ? name : rowOf(name, row, writing)
  }) }
}

/** A constant that is joined with values of examples, or placed in them, the same for all, is repeated for each. */
function withRepeatedRows(node: Node, writing: Writing, size: number): Node {
  const { types } = writing
  const example = node.inputs.find(name => types.get(name)?.shape.some(isBatch) === true)
  const type = types.get(example ?? '')
  const axis = type === undefined ? -1 : batchAxis(type)
  const dim = type?.shape[axis]
  if (example === undefined || type === undefined || dim === undefined || !isBatch(dim) || dim.inner !== 1 ||
    dim.outer !== 1) return node
  return { ...node, inputs: node.inputs.map(name => {
    const constant = types.get(name)?.constant
    return constant === undefined ? name : repeatedRows(name, constant, example, axis, size, writing)
  }) }
}

/**
 * The row that a constant has along `axis` for each of `size` examples, once for each example of another value with the
 * same axis; the constant itself where its rows differ.
 */
function repeatedRows(name: string, constant: Tensor, example: string, axis: number, size: number,
  writing: Writing): string {
  const row = commonRow(constant, axis, size)
  if (row === undefined) return name
  const { builder, types, append } = writing
  const fresh = (op: string, inputs: readonly string[], attributes: Node['attributes'] = {}): string => {
    const output = builder.fresh(op.toLowerCase())
    append({ op, inputs, outputs: [output], attributes })
    return output
  }
  const integers = (values: readonly number[]): string => {
    const made = tensor('int64', [values.length], values)
    const integersName = builder.constant(made, 'integers')
    types.set(integersName, { dtype: 'int64', shape: made.shape, constant: made })
    return integersName
  }
  const count = fresh('Shape', [example], { start: axis, end: axis + 1 })
  const target = fresh('Concat', [integers(row.shape.slice(0, axis)), count, integers(row.shape.slice(axis + 1))], {
    axis: 0,
  })
  return fresh('Expand', [rowOf(name, row, writing), target])
}
