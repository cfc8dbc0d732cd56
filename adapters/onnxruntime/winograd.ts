/**
 * @file Convolutions of 3 x 3 with many channels as ONNX Runtime is fastest at them: by the minimal filtering F(2 x 2,
 * 3 x 3) of Winograd (Lavin and Gray 2016), with 16 products of matrices where 36 would be due. Written with operators
 * that every runtime has, images with their channels last.
 *
 * Of 16 rows, 512 channels of 4 x 4: 8.9 ms for 21.4, 256 channels of 8 x 8: 9.2 for 15.0; with 64 there is no gain,
 * and below 256 the values between cost more memory than the time is worth.
 */
import { GraphBuilder } from '../../core/graph/builder.js'
import { type Dim, type Graph, isBatch, type Node } from '../../core/graph/graph.js'
import { numberAttribute } from '../../core/ops/node-attributes.js'
import { kernelExtents, slidingWindow, spatialExtents, type WindowAxis } from '../../core/ops/window.js'
import { removeDead, sortNodes } from '../../core/passes/fold.js'
import { inferTypes } from '../../core/passes/infer.js'
import { type Tensor, tensor } from '../../core/tensor/tensor.js'

/** Channels from which on it pays. */
const LEAST_CHANNELS = 256
/** Rows of a tile of inputs, and of outputs. */
const [TILE, STEP] = [4, 2]

/** The graph with such convolutions written out. */
export function withWinograd(graph: Graph): Graph {
  if (!graph.nodes.some(({ op }) => op === 'Conv')) return graph
  const types = inferTypes(graph)
  const builder = GraphBuilder.from(graph, 'float32')
  const replaced = new Set<Node>()
  for (const node of graph.nodes) {
    const weight = graph.initializers.get(node.inputs[1])
    const axes = weight && axesOf(node, types.get(node.inputs[0])?.shape, weight)
    if (weight === undefined || axes === undefined) continue
    appendConvolution(builder, node, axes, weight)
    replaced.add(node)
  }
  if (replaced.size === 0) return graph
  return removeDead(
    sortNodes({ ...graph, nodes: builder.nodes.filter(node => !replaced.has(node)),
      initializers: builder.initializers }),
  )
}

/** The axes of the images, where a convolution is written out. */
function axesOf(node: Node, shape: readonly Dim[] | undefined, { dtype, shape: weight }: Tensor):
  | WindowAxis[]
  | undefined {
  const fits = node.op === 'Conv' && dtype === 'float32' && weight.length === 4 && shape !== undefined &&
    isBatch(shape[0]) && numberAttribute(node, 'group', 1) === 1 && Math.min(weight[0], weight[1]) >= LEAST_CHANNELS
  if (!fits) return undefined
  const axes = slidingWindow(node, spatialExtents(node, shape), kernelExtents(node, 2, weight.slice(2)))
  return axes.every(({ kernel, stride, dilation, output }) =>
      kernel === 3 && stride === 1 && dilation === 1 && output % STEP === 0
    )
    ? axes
    : undefined
}

function appendConvolution(builder: GraphBuilder, { inputs: [x, , bias = ''], outputs }: Node,
  axes: readonly WindowAxis[], weight: Tensor): void {
  const [channels] = weight.shape
  const last = builder.node('Transpose', [x], { perm: [0, 2, 3, 1] })
  const padded = builder.node('Pad', [last,
    builder.integers([0, ...axes.map(({ front }) => front), 0, 0, ...axes.map(({ back }) => back), 0])])
  const kernels = tileKernels(weight)
  const products = tileOf(builder, padded, 1, axes[0]).map((row, a) =>
    tileOf(builder, row, 2, axes[1]).map((tile, b) => builder.node('MatMul', [tile, builder.constant(kernels[a][b])]))
  )
  // The sums over the rows of a tile, then over its columns: two lines of two outputs.
  const lines = transposed(products).map(column => outputsOf(builder, column))
  const tiles = transposed(lines).map(line => outputsOf(builder, line))
  const joined = joinTiles(builder, tiles, axes, channels)
  const sum = bias === '' ? joined : builder.node('Add', [joined, bias])
  builder.nodes.push({ op: 'Transpose', inputs: [sum], outputs, attributes: { perm: [0, 3, 1, 2] } })
}

/** B'd along one axis: four values with the numbers of every tile. */
function tileOf(builder: GraphBuilder, value: string, axis: number, { output }: WindowAxis): string[] {
  const [d0, d1, d2, d3] = Array.from({ length: TILE },
    (_, i) => builder.node('Slice', [value, ...[i, i + output - 1, axis, STEP].map(each => builder.integers([each]))]))
  return [builder.node('Sub', [d0, d2]), builder.node('Add', [d1, d2]), builder.node('Sub', [d2, d1]),
    builder.node('Sub', [d1, d3])]
}

/** A'm along one axis: the two outputs of every tile. */
function outputsOf(builder: GraphBuilder, [m0, m1, m2, m3]: readonly string[]): string[] {
  const [sum, difference] = [builder.node('Add', [m1, m2]), builder.node('Sub', [m1, m2])]
  return [builder.node('Add', [m0, sum]), builder.node('Sub', [difference, m3])]
}

/** Two lines of two values, N x h x w x K each, as N x 2h x 2w x K. */
function joinTiles(builder: GraphBuilder, tiles: readonly (readonly string[])[], axes: readonly WindowAxis[],
  channels: number): string {
  const stacked = (values: readonly string[], axis: number): string =>
    builder.node('Concat', values.map(value => builder.node('Unsqueeze', [value, builder.integers([axis])])), { axis })
  const lines = tiles.map(line => stacked(line, 3))
  return builder.node('Reshape', [stacked(lines, 2),
    builder.integers([-1, ...axes.map(({ output }) => output), channels])])
}

/** G g G' of every pair of channels: 4 x 4 matrices of inputs x outputs. */
function tileKernels({ shape: [outputs, inputs], data }: Tensor): Tensor[][] {
  const kernels = Array.from({ length: TILE * TILE }, () => new Float32Array(inputs * outputs))
  const columns = new Float64Array(3 * TILE)
  const tile = new Float64Array(TILE * TILE)
  for (let c = 0, at = 0; c < inputs; c++) {
    for (let k = 0; k < outputs; k++, at++) {
      const from = 9 * (k * inputs + c)
      for (let j = 0; j < 3; j++) spread(data[from + j], data[from + 3 + j], data[from + 6 + j], columns, j, 3)
      for (let a = 0; a < TILE; a++) spread(columns[3 * a], columns[3 * a + 1], columns[3 * a + 2], tile, TILE * a, 1)
      for (let i = 0; i < tile.length; i++) kernels[i][at] = tile[i]
    }
  }
  const tensors = kernels.map(values => tensor('float32', [inputs, outputs], values))
  return [0, 4, 8, 12].map(from => tensors.slice(from, from + TILE))
}

/** G g of three numbers: four, `step` apart. */
function spread(first: number, second: number, third: number, out: Float64Array, at: number, step: number): void {
  const sum = first + third
  out[at] = first
  out[at + step] = (sum + second) / 2
  out[at + 2 * step] = (sum - second) / 2
  out[at + 3 * step] = third
}

function transposed<T>(rows: readonly (readonly T[])[]): T[][] {
  return rows[0].map((_, i) => rows.map(row => row[i]))
}
