/**
 * @file How each operator is written for values that have the axis of the examples in front of those of one example. A
 * rule returns the outputs, N x their shape.
 */
import type { Node } from '../graph/graph.js'
import { bitwiseOperators } from '../ops/bitwise.js'
import { binaryOperators } from '../ops/elementwise-binary.js'
import { unaryOperators } from '../ops/elementwise-unary.js'
import { integersAttribute, numberAttribute, stringAttribute } from '../ops/node-attributes.js'
import { reductionOperators } from '../ops/reduction.js'
import { sizeOf } from '../tensor/tensor.js'
import type { ExampleWriter } from './example-writer.js'

/** Writes a node of which at least one input varies. */
export type ExampleRule = (node: Node, writer: ExampleWriter) => readonly string[]

/** The rule of an operator; one that has none is refused by its name. */
export function ruleFor(op: string): ExampleRule {
  return RULES.get(op) ?? unwritable
}

const unwritable: ExampleRule = (node, writer) => {
  throw writer.refusal(node)
}

/** Only the first input may vary. @throws GraphError BATCH_AXIS */
function firstAlone(node: Node, writer: ExampleWriter): void {
  if (!writer.varies(node.inputs[0]) || node.inputs.slice(1).some(name => writer.varies(name))) unwritable(node, writer)
}

/** An axis of one example, counted from the front. */
function positive(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

const elementwise: ExampleRule = (node, writer) => {
  const rank = Math.max(...node.inputs.map(name => writer.shape(name).length))
  return writer.apply(node, node.inputs.map(name => (writer.varies(name) ? writer.all(name, rank) : name)))
}

/** The elements of an example stay in their order. */
const relaid: ExampleRule = (node, writer) => [
  writer.reshaped(writer.all(node.inputs[0]), writer.shape(node.outputs[0])),
]

const expanded: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const shape = writer.shape(node.outputs[0])
  return writer.apply(node, [writer.all(node.inputs[0], shape.length), writer.builder.integers([1, ...shape])])
}

const transposed: ExampleRule = (node, writer) => {
  const rank = writer.shape(node.inputs[0]).length
  const perm = integersAttribute(node, 'perm', Array.from({ length: rank }, (_, i) => rank - 1 - i))
  return writer.apply(node, [writer.all(node.inputs[0])], { ...node.attributes, perm: [0, ...perm.map(a => a + 1)] })
}

/** An operator along one axis, an attribute; all inputs have N in front. */
const along = (fallback: number, key = 'axis'): ExampleRule => (node, writer) => {
  const rank = writer.shape(node.inputs[0]).length
  const axis = positive(numberAttribute(node, key, fallback), rank) + 1
  const example = node.inputs.find(name => writer.varies(name)) ?? ''
  return writer.apply(node, node.inputs.map(name => writer.repeated(name, example)), { ...node.attributes,
    [key]: axis })
}

/** An operator along one axis, an attribute, whose further inputs are the same for all examples. */
const alongFirst = (fallback: number): ExampleRule => (node, writer) => {
  firstAlone(node, writer)
  const axis = positive(numberAttribute(node, 'axis', fallback), writer.shape(node.inputs[0]).length) + 1
  return writer.apply(node, [writer.all(node.inputs[0]), ...node.inputs.slice(1)], { ...node.attributes, axis })
}

/** Axes that are counted from the end anyway. */
const lastAxes: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  return writer.apply(node, [writer.all(node.inputs[0]), ...node.inputs.slice(1)])
}

const reduced: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const rank = writer.shape(node.inputs[0]).length
  const given = writer.integers(node, 1) ?? []
  if (given.length === 0 && numberAttribute(node, 'noop_with_empty_axes', 0) !== 0) return elementwise(node, writer)
  const axes = given.length === 0 ? Array.from({ length: rank }, (_, i) => i) : given
  const inner = writer.builder.integers(axes.map(axis => positive(axis, rank) + 1))
  return writer.apply(node, [writer.all(node.inputs[0]), inner])
}

const sliced: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const rank = writer.shape(node.inputs[0]).length
  const starts = writer.integers(node, 1) ?? []
  const axes = writer.integers(node, 3) ?? [...starts.keys()]
  const inner = writer.builder.integers(axes.map(axis => positive(axis, rank) + 1))
  return writer.apply(node, [writer.all(node.inputs[0]), node.inputs[1], node.inputs[2], inner,
    ...node.inputs.slice(4)])
}

const padded: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const rank = writer.shape(node.inputs[0]).length
  const amounts = writer.integers(node, 1) ?? []
  const axes = (writer.integers(node, 3) ?? [...Array(rank).keys()]).map(axis => positive(axis, rank) + 1)
  return writer.apply(node, [writer.all(node.inputs[0]), writer.builder.integers(amounts), node.inputs[2] ?? '',
    writer.builder.integers(axes)])
}

const tiled: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const repeats = writer.builder.integers([1, ...writer.integers(node, 1) ?? []])
  return writer.apply(node, [writer.all(node.inputs[0]), repeats])
}

const summedUp: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const [axis] = writer.integers(node, 1) ?? [0]
  const inner = writer.builder.integers([positive(axis, writer.shape(node.inputs[0]).length) + 1])
  return writer.apply(node, [writer.all(node.inputs[0]), inner])
}

const gathered: ExampleRule = (node, writer) => {
  const [data, indices] = node.inputs
  const [shape, picked] = [writer.shape(data), writer.shape(indices)]
  const axis = positive(numberAttribute(node, 'axis', 0), shape.length)
  const { builder } = writer
  if (!writer.varies(indices)) {
    return writer.apply(node, [writer.all(data), indices], { ...node.attributes, axis: axis + 1 })
  }
  if (!writer.varies(data)) {
    const [found] = writer.apply(node, [data, writer.all(indices)])
    const rank = shape.length + picked.length
    const perm = [axis, ...Array(rank).keys()].filter((each, i) => i === 0 || each !== axis)
    return [axis === 0 ? found : builder.node('Transpose', [found], { perm })]
  }
  // Each example picks from its own: every element of what is picked gets the index of its own.
  const [before, after] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))]
  const values = writer.reshaped(writer.all(data), [before, shape[axis], after])
  const places = builder.node('Expand', [writer.reshaped(writer.all(indices), [1, sizeOf(picked), 1]),
    builder.integers([1, before, sizeOf(picked), after])])
  const found = builder.node('GatherElements', [values, places], { axis: 2 })
  return [writer.reshaped(found, writer.shape(node.outputs[0]))]
}

const product: ExampleRule = (node, writer) => {
  const [a, b] = node.inputs
  const matrix = (name: string, vector: readonly number[]): readonly number[] => {
    const shape = writer.shape(name)
    return shape.length === 1 ? vector.map(each => (each === 0 ? shape[0] : each)) : shape
  }
  const [left, right] = [matrix(a, [1, 0]), matrix(b, [0, 1])]
  const rank = Math.max(left.length, right.length)
  const operand = (name: string, shape: readonly number[]): string => {
    if (!writer.varies(name)) {
      return writer.shape(name).length === 1 ?
        writer.builder.node('Reshape', [name, writer.builder.integers(shape)])
        : name
    }
    return writer.shape(name).length === rank
      ? writer.all(name)
      : writer.reshaped(writer.all(name), [...new Array<number>(rank - shape.length).fill(1), ...shape])
  }
  const found = writer.builder.node('MatMul', [operand(a, left), operand(b, right)], node.attributes)
  return [writer.reshaped(found, writer.shape(node.outputs[0]))]
}

const affine: ExampleRule = (node, writer) => {
  const [a, b, c = ''] = node.inputs
  const { builder } = writer
  const shape = writer.shape(node.outputs[0])
  const bias = writer.shape(c)
  const sameRows = c === '' || (!writer.varies(c) && (bias.length < 2 || bias[0] === 1))
  const turned = numberAttribute(node, 'transA', 0) !== 0
  if (writer.varies(a) && !writer.varies(b) && sameRows) {
    const rows = turned ? builder.node('Transpose', [writer.all(a)], { perm: [0, 2, 1] }) : writer.all(a)
    const [depth] = writer.shape(a).slice(turned ? 0 : 1)
    const inputs = [builder.node('Reshape', [rows, builder.integers([-1, depth])]), ...node.inputs.slice(1)]
    return [writer.reshaped(writer.apply(node, inputs, { ...node.attributes, transA: 0 })[0], shape)]
  }
  const operand = (name: string, key: string): string => {
    const all = writer.varies(name) ? writer.all(name) : name
    if (numberAttribute(node, key, 0) === 0) return all
    return builder.node('Transpose', [all], { perm: writer.varies(name) ? [0, 2, 1] : [1, 0] })
  }
  const scaled = (name: string, key: string): string => {
    const factor = numberAttribute(node, key, 1)
    return factor === 1 ? name : builder.node('Mul', [name, builder.scalar(factor)])
  }
  const found = scaled(builder.node('MatMul', [operand(a, 'transA'), operand(b, 'transB')]), 'alpha')
  if (c === '') return [found]
  return [builder.node('Add', [found, scaled(writer.varies(c) ? writer.all(c, 2) : c, 'beta')])]
}

const einsum: ExampleRule = (node, writer) => {
  const text = stringAttribute(node, 'equation').replaceAll(' ', '')
  const [left, right] = text.split('->') as [string, string | undefined]
  const letter = [...'ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlkjihgfedcba'].find(each => !text.includes(each))
  if (letter === undefined) throw writer.refusal(node)
  const terms = left.split(',').map((term, i) => (writer.varies(node.inputs[i]) ? `${letter}${term}` : term))
  const once = [...new Set(left)].filter(each => /[a-zA-Z]/.test(each) && left.split(each).length === 2).sort()
  const result = right ?? `${left.includes('...') ? '...' : ''}${once.join('')}`
  const ellipses = new Set(
    left.split(',').flatMap((term,
      i) => (term.includes('...') ? [writer.shape(node.inputs[i]).length - term.length] : [])
    ),
  )
  if (ellipses.size > 1) throw writer.refusal(node)
  return writer.apply(node, node.inputs.map(name => (writer.varies(name) ? writer.all(name) : name)), {
    ...node.attributes,
    equation: `${terms.join(',')}->${letter}${result}`,
  })
}

/** Operators that know axis 0 as that of the examples: N x b x ... are (N b) x ... examples. */
const joined: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  // The places of maxima would count through all examples.
  if (node.outputs.slice(1).some(name => name !== '')) throw writer.refusal(node)
  return withJoined(node, writer, [])
}

function withJoined(node: Node, writer: ExampleWriter, rest: readonly string[],
  attributes = node.attributes): readonly string[] {
  const { builder } = writer
  const rows = builder.node('Reshape', [writer.all(node.inputs[0]),
    builder.integers([-1, ...writer.shape(node.inputs[0]).slice(1)])])
  return writer.apply(node, [rows, ...rest.length > 0 ? rest : node.inputs.slice(1)], attributes)
    .map((name, i) => (name === '' ? '' : writer.reshaped(name, writer.shape(node.outputs[i]))))
}

const resized: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const sizes = writer.integers(node, 3)
  if (sizes === undefined) return withJoined(node, writer, [])
  const rank = writer.shape(node.inputs[0]).length
  const axes = integersAttribute(node, 'axes', [...Array(rank).keys()]).map(axis => positive(axis, rank))
  const kept = [...axes.keys()].filter(i => axes[i] !== 0)
  return withJoined(node, writer, [node.inputs[1], node.inputs[2], writer.builder.integers(kept.map(i => sizes[i]))], {
    ...node.attributes,
    axes: kept.map(i => axes[i]),
  })
}

/** Times x b x features, and states of directions x b x units. */
const recurrent: ExampleRule = (node, writer) => {
  const { builder } = writer
  const [x, ...others] = node.inputs
  if (!writer.varies(x) || others.slice(0, 4).some(name => writer.varies(name))) throw writer.refusal(node)
  const behind = (all: string, shape: readonly number[]): string =>
    builder.node('Reshape', [builder.node('Transpose', [all], { perm: [1, 0, 2, 3] }),
      builder.integers([shape[0], -1, shape[2]])])
  const inputs = node.inputs.map((name, i) => {
    if (i === 0) return behind(writer.all(name), writer.shape(name))
    if (i < 5 || i > 6 || name === '') return name
    if (writer.known(name)?.data.every(each => each === 0) === true) return ''
    return behind(writer.repeated(name, x), writer.shape(name))
  })
  return writer.apply(node, inputs).map((name, i) => {
    if (name === '') return ''
    const shape = writer.shape(node.outputs[i])
    const axis = shape.length - 2
    const apart = builder.node('Reshape', [name, builder.integers([...shape.slice(0, axis), -1, ...shape.slice(axis)])])
    const perm = [axis, ...Array(shape.length + 1).keys()].filter((each, place) => place === 0 || each !== axis)
    return builder.node('Transpose', [apart], { perm })
  })
}

/** Rows L x T x M, and the places of each T, which may be the same for all L. */
const placed: ExampleRule = (node, writer) => {
  const [rows, places] = node.inputs
  const rank = writer.shape(rows).length
  return writer.apply(node, [writer.repeated(rows, writer.varies(rows) ? rows : places),
    writer.varies(places) ? writer.all(places, rank - 1) : places])
}

/** Indices N x s, and a new axis for the classes. */
const oneHot: ExampleRule = (node, writer) => {
  firstAlone(node, writer)
  const axis = numberAttribute(node, 'axis', -1)
  return writer.apply(node, [writer.all(node.inputs[0]), ...node.inputs.slice(1)], { ...node.attributes,
    axis: axis < 0 ? axis : axis + 1 })
}

const RULES: ReadonlyMap<string, ExampleRule> = new Map<string, ExampleRule>([
  ...[...unaryOperators, ...binaryOperators, ...bitwiseOperators].map(({ op }) => [op, elementwise] as const),
  ...reductionOperators.map(({ op }) => [op, reduced] as const),
  ...['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'].map(op => [op, relaid] as const),
  ['Expand', expanded],
  ['Transpose', transposed],
  ['Concat', along(0)],
  ['GatherElements', along(0)],
  ['ScatterElements', along(0)],
  ['Split', alongFirst(0)],
  ['ArgMax', alongFirst(0)],
  ['ArgMin', alongFirst(0)],
  ['Softmax', alongFirst(-1)],
  ['LogSoftmax', alongFirst(-1)],
  ['LpNormalization', alongFirst(-1)],
  ['LayerNormalization', alongFirst(-1)],
  ['RMSNormalization', alongFirst(-1)],
  ['TopK', alongFirst(-1)],
  ['Trilu', lastAxes],
  ['Det', lastAxes],
  ['OneHot', oneHot],
  ['ScatterRows', placed],
  ['Slice', sliced],
  ['Pad', padded],
  ['Tile', tiled],
  ['CumSum', summedUp],
  ['Gather', gathered],
  ['MatMul', product],
  ['Gemm', affine],
  ['Einsum', einsum],
  ...['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool',
    'BatchNormalization', 'InstanceNormalization', 'GroupNormalization', 'DepthToSpace', 'SpaceToDepth']
    .map(op => [op, joined] as const),
  ['Resize', resized],
  ['RNN', recurrent],
  ['GRU', recurrent],
  ['LSTM', recurrent],
])
