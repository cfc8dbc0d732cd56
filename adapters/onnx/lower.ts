/** @file Operators of the core alone, expressed in those of ONNX. */
import { InternalError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import type { Attribute, Graph, Node, ValueType } from '../../core/graph/graph.js'
import { dtypeOf, elementTypeOf } from '../../core/ops/element-types.js'
import { numberAttribute } from '../../core/ops/node-attributes.js'
import { CHANNEL_AXIS, kernelExtents, kernelSize, planeSize, positionsOf, slidingWindow, spatialExtents,
  type WindowAxis } from '../../core/ops/window.js'
import { type Precision, tensor } from '../../core/tensor/tensor.js'

/** Appends the nodes for one of the core; the last one gives its output. */
type Lowering = (builder: GraphBuilder, node: Node, input: ValueType) => void

const LOWERINGS: ReadonlyMap<string, Lowering> = new Map([
  ['Unfold', lowerUnfold],
  ['ScatterRows', lowerScatterRows],
  ['Cast', lowerCast],
  ['StopGradient', (builder: GraphBuilder, node: Node) => {
    finish(builder, node, 'Identity', node.inputs)
  }],
])

/** The graph with operators of ONNX alone; `types` are those of its values. */
export function lower(graph: Graph, types: ReadonlyMap<string, ValueType>): Graph {
  if (!graph.nodes.some(node => LOWERINGS.has(node.op))) return graph
  const builder = GraphBuilder.from(graph, 'float32')
  builder.nodes.length = 0
  for (const node of graph.nodes) {
    const lowering = LOWERINGS.get(node.op)
    if (lowering === undefined) builder.nodes.push(node)
    else lowering(builder, node, typeOf(types, node.inputs[0]))
  }
  return builder.build(graph.outputs)
}

function typeOf(types: ReadonlyMap<string, ValueType>, name: string): ValueType {
  const type = types.get(name)
  if (type === undefined) throw new InternalError(`The type of '${name}' is not known.`)
  return type
}

/**
 * N x C x space -> N x groups x T x (C / groups * kernel). Rows of channels are picked by their place, which copies
 * them whole; a row of zeros behind them stands for what is outside of the input.
 */
function lowerUnfold(builder: GraphBuilder, node: Node, { shape }: ValueType): void {
  const extents = spatialExtents(node, shape)
  const window = slidingWindow(node, extents, kernelExtents(node, extents.length))
  const [positions, size, groups, channels] = [positionsOf(window), kernelSize(window),
    numberAttribute(node, 'group', 1), Number(shape[CHANNEL_AXIS])]
  const covered = coveredInputs(window).flat()
  const planes = builder.node('Reshape', [node.inputs[0], builder.integers([0, channels, planeSize(window)])])
  const rows = builder.node('Transpose', [planes], { perm: [0, 2, 1] })
  const bordered = covered.includes(-1) ? builder.node('Pad', [rows, builder.integers([0, 0, 0, 0, 1, 0])]) : rows
  const picked = builder.node('Gather', [bordered, builder.constant(tensor('int64', [positions, size], covered))], {
    axis: 1,
  })
  const grouped = builder.node('Reshape', [picked, builder.integers([0, positions, size, groups, channels / groups])])
  const patches = builder.node('Transpose', [grouped], { perm: [0, 3, 1, 4, 2] })
  finish(builder, node, 'Reshape', [patches, builder.integers([0, groups, positions, channels / groups * size])])
}

/**
 * For every position the inputs that the window covers there, one channel's places counted through; -1 outside of the
 * input.
 */
function coveredInputs(window: readonly WindowAxis[]): number[][] {
  return window.reduce<number[][]>(
    (rows, { input, output, kernel, stride, dilation, front }) =>
      rows.flatMap(row =>
        counted(output).map(o =>
          row.flatMap(at =>
            counted(kernel).map(k => {
              const place = o * stride - front + k * dilation
              return at < 0 || place < 0 || place >= input ? -1 : at * input + place
            })
          )
        )
      ),
    [[0]],
  )
}

const counted = (length: number): number[] => Array.from({ length }, (_, i) => i)

/**
 * out[..., v, :] = sum of g[..., t, :] over all t with indices[..., t] = v: added onto zeros, an index for each
 * element.
 */
function lowerScatterRows(builder: GraphBuilder, node: Node, { dtype, shape }: ValueType): void {
  const [g, indices] = node.inputs
  const width = Number(shape.at(-1))
  const lead = builder.node('Shape', [g], { end: -2 })
  const target = builder.node('Concat', [lead, builder.integers([numberAttribute(node, 'rows'), width])], { axis: 0 })
  const zeros = builder.node('ConstantOfShape', [target], { value: tensor(dtype as Precision, [1], [0]) })
  const columns = builder.node('Unsqueeze', [indices, builder.integers([-1])])
  const places = builder.node('Expand', [columns, builder.node('Shape', [g])])
  finish(builder, node, 'ScatterElements', [zeros, places, g], { axis: shape.length - 2, reduction: 'add' })
}

/** A Cast to a narrow element type and back; integers of all sizes are of 64 bits here. */
function lowerCast(builder: GraphBuilder, node: Node): void {
  const { storage, to, ...attributes } = node.attributes
  const target = elementTypeOf(dtypeOf(node, Number(to)))
  const through = storage === undefined
    ? node.inputs[0]
    : builder.node('Cast', [node.inputs[0]], { ...attributes, to: storage })
  finish(builder, node, 'Cast', [through], { to: target })
}

/** Appends the node that gives what the lowered one gave. */
function finish(builder: GraphBuilder, { outputs, name }: Node, op: string, inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {}): void {
  builder.nodes.push({ op, inputs, outputs, attributes, ...(name === undefined ? {} : { name }) })
}
