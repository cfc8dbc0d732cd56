/**
 * @file Convolutions: Conv, ConvTranspose and Unfold, an operator of our own.
 *
 * Conv is a matrix product of the weight with patches. Patches are made for about a thousand positions at a time, whole
 * rows of one or several examples, so that they stay in the cache whatever the size of the image.
 */
import { type Attribute, type Dim, isBatch, type Node } from '../graph/graph.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { sizeOf, type Tensor } from '../tensor.js'
import { sumToShape } from './cotangents.js'
import { badNode, batchAxisError, integersAttribute, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { foldColumns, shiftsOf, unfoldColumns, unfoldRows } from './patches.js'
import { mergeFront, splitFront } from './seed-batches.js'
import { formatDims } from './shape-rules.js'
import { CHANNEL_AXIS, kernelExtents, kernelSize, planeSize, positionsOf, slidingWindow, spatialExtents, threeAxes, transposedAttributes, type Window, windowAttributes, windowAttributesOf, type WindowAxis } from './window.js'

/** Columns of patches that are made at a time. */
const COLUMNS = 1024

function realData(node: Node, { data }: Tensor): RealArray {
  if (data instanceof Uint8Array) throw badNode(node, 'its inputs must be numbers; one is of type bool.')
  return data
}

/** The extents of a weight, which must be the same for all examples. */
function weightShape(node: Node, { shape }: InferredValue, rank: number): readonly number[] {
  if (shape.some(isBatch)) throw batchAxisError(node, 'its weight differs from example to example.')
  if (shape.length !== rank) throw badNode(node, `its weight of shape ${formatDims(shape)} does not have the ${rank} axes of its input.`)
  return shape as readonly number[]
}

/** The number of groups. @throws GraphError BAD_GRAPH when it does not divide the channels */
function groupsOf(node: Node, channels: number): number {
  const groups = numberAttribute(node, 'group', 1)
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) throw badNode(node, `${channels} channels cannot be divided into ${groups} groups.`)
  return groups
}

function checkBias(node: Node, bias: InferredValue | undefined, channels: number): void {
  if (bias !== undefined && (bias.shape.length !== 1 || bias.shape[0] !== channels)) throw badNode(node, `its bias of shape ${formatDims(bias.shape)} does not have one number for each of the ${channels} channels.`)
}

/** A convolution of N x C x space with a weight of out x (in / groups) x kernel. */
interface Convolution { readonly window: WindowAxis[], readonly groups: number, readonly in: number, readonly out: number }

function convolutionOf(node: Node, shape: readonly Dim[], weight: readonly number[]): Convolution {
  const extents = spatialExtents(node, shape)
  const channels = Number(shape[CHANNEL_AXIS])
  const groups = groupsOf(node, channels)
  const [out, own, ...kernel] = weight
  if (own * groups !== channels || out % groups !== 0) throw badNode(node, `its weight of shape ${formatDims(weight)} does not fit ${channels} channels in ${groups} group${groups === 1 ? '' : 's'}.`)
  return { window: slidingWindow(node, extents, kernelExtents(node, extents.length, kernel)), groups, in: channels, out }
}

/** Whole output rows, about `COLUMNS` positions of them, one tile after the other. */
function forEachTile(rows: number, width: number, visit: (firstRow: number, endRow: number) => void): void {
  const step = Math.max(1, Math.floor(COLUMNS / width))
  for (let row = 0; row < rows; row += step) visit(row, Math.min(rows, row + step))
}

/** Positions of the widest tile. */
function tileWidth(window: Window, examples: number): number {
  const [depth, height, { output: width }] = window
  return Math.min(examples * depth.output * height.output, Math.max(1, Math.floor(COLUMNS / width))) * width
}

/** Elements of a tile: patches, and what is multiplied with the weight to make them or made of them. */
function tileElements({ window, groups, in: inputs, out }: Convolution, examples: number, patchChannels: number): number {
  const alone = groups > 1 && inputs === groups
  return alone ? 0 : tileWidth(threeAxes(window), examples) * (patchChannels / groups * kernelSize(window) + (inputs + out - patchChannels) / groups)
}

/** Between the columns of a tile (channels x columns, from `at` on) and N x C x positions: copies runs of one example each. */
function forEachTileRun(window: Window, firstRow: number, endRow: number, visit: (example: number, position: number, column: number, count: number) => void): void {
  const [depth, height, width] = window
  const rows = depth.output * height.output
  for (let row = firstRow; row < endRow;) {
    const example = Math.floor(row / rows)
    const end = Math.min(endRow, (example + 1) * rows)
    visit(example, (row - example * rows) * width.output, (row - firstRow) * width.output, (end - row) * width.output)
    row = end
  }
}

function runConvolution(node: Node, { window: axes, groups, in: inputs, out: outputs }: Convolution, x: Tensor, weight: Tensor, bias: Tensor | undefined, context: KernelContext): Tensor {
  const window = threeAxes(axes)
  const positions = positionsOf(axes)
  const examples = x.shape[0]
  const [source, weights] = [realData(node, x), realData(node, weight)]
  const out: Tensor = { dtype: x.dtype, shape: [examples, outputs, ...axes.map(axis => axis.output)], data: context.allocate(x.dtype, examples * outputs * positions) }
  const target = realData(node, out)
  const [ownIn, ownOut] = [inputs / groups, outputs / groups]
  if (groups > 1 && ownIn === 1) {
    convolveChannels(source, weights, window, ownOut, examples, inputs, target)
    addBias(target, bias, positions)
    return out
  }
  const depth = ownIn * kernelSize(axes)
  const [rows, width] = [examples * window[0].output * window[1].output, window[2].output]
  const most = tileWidth(window, examples)
  const patches = realData(node, { ...out, data: context.allocate(x.dtype, depth * most) })
  const product = realData(node, { ...out, data: context.allocate(x.dtype, ownOut * most) })
  forEachTile(rows, width, (firstRow, endRow) => {
    const columns = (endRow - firstRow) * width
    for (let group = 0; group < groups; group++) {
      unfoldColumns(source, window, { total: inputs, from: group * ownIn, count: ownIn }, { first: firstRow, end: endRow }, patches)
      gemm(false, false, ownOut, columns, depth, 1, weights.subarray(group * ownOut * depth, (group + 1) * ownOut * depth), patches.subarray(0, depth * columns), 0, product.subarray(0, ownOut * columns))
      forEachTileRun(window, firstRow, endRow, (example, position, column, count) => {
        for (let o = 0; o < ownOut; o++) target.set(product.subarray(o * columns + column, o * columns + column + count), (example * outputs + group * ownOut + o) * positions + position)
      })
    }
  })
  addBias(target, bias, positions)
  return out
}

function addBias(out: RealArray, bias: Tensor | undefined, positions: number): void {
  if (bias === undefined) return
  for (let from = 0; from < out.length;) {
    for (let c = 0; c < bias.data.length; c++) {
      const value = bias.data[c]
      for (const end = from + positions; from < end; from++) out[from] += value
    }
  }
}

/** Every channel by itself (depthwise), `multiplier` outputs a channel: shifted rows are added, without patches. */
function convolveChannels(x: RealArray, weights: RealArray, window: Window, multiplier: number, examples: number, channels: number, out: RealArray): void {
  const [plane, positions, size, stride] = [planeSize(window), positionsOf(window), kernelSize(window), window[2].stride]
  const shifts = shiftsOf(window)
  out.fill(0)
  for (let n = 0; n < examples; n++) for (let o = 0; o < channels * multiplier; o++) {
    const image = (n * channels + Math.floor(o / multiplier)) * plane
    const output = (n * channels * multiplier + o) * positions
    for (let run = 0; run < shifts.length; run++) {
      const weight = weights[o * size + shifts.element[run]]
      const [from, to, count] = [image + shifts.image[run], output + shifts.position[run], shifts.count[run]]
      for (let i = 0, at = from; i < count; i++, at += stride) out[to + i] += weight * x[at]
    }
  }
}

const conv: Operator = {
  op: 'Conv',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const { window, out } = convolutionOf(node, x.shape, weightShape(node, requiredInput(node, inputs, 1), x.shape.length))
    checkBias(node, inputs[2], out)
    return [{ dtype: x.dtype, shape: [x.shape[0], out, ...window.map(axis => axis.output)] }]
  },
  run(node, inputs, context) {
    const [x, weight] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    return [runConvolution(node, convolutionOf(node, x.shape, weight.shape), x, weight, inputs[2], context)]
  },
  workspace(node, [x, weight]) {
    const convolution = convolutionOf(node, x, weight)
    return tileElements(convolution, x[0], convolution.in)
  },
  backward: convBackward,
}

/** The attributes of the Unfold that makes the patches of a Conv node. */
export function patchAttributes(node: Node, input: readonly Dim[], weight: readonly number[]): Record<string, Attribute> {
  const { window, groups } = convolutionOf(node, input, weight)
  return windowAttributesOf(window, groups)
}

/** The per-example gradient of a bias: the cotangent summed over positions. */
function biasCotangent({ builder, outputs: [y] }: BackwardContext, cotangent: string): string {
  const channels = Number(y.shape[CHANNEL_AXIS])
  const sum = sumToShape(builder, cotangent, y.shape, [channels, ...new Array<number>(y.shape.length - 2).fill(1)])
  return builder.node('Reshape', [sum, builder.integers([0, 0, channels])])
}

/**
 * The per-example gradient of a weight: for every group the product of g (width x T) with the transposed patches (depth x T),
 * summed over what axis 0 holds besides the examples.
 */
function weightCotangent(context: BackwardContext, product: string, first: Dim, weight: readonly number[], groups: number): string {
  const { builder } = context
  const matrices = [groups, weight[0] / groups, sizeOf(weight.slice(1))]
  const summed = sumToShape(builder, product, [first, ...matrices], matrices)
  return builder.node('Reshape', [summed, builder.integers([0, 0, ...weight])])
}

function convBackward(context: BackwardContext): (string | undefined)[] {
  const { builder, node, inputs: [x, w], outputs: [y], cotangents: [cotangent], needs } = context
  if (cotangent === undefined || x === undefined || w === undefined) return []
  const weight = w.shape as readonly number[]
  const { window, groups } = convolutionOf(node, x.shape, weight)
  const inputCotangent = (): string => {
    const merged = builder.node('ConvTranspose', [mergeFront(context, cotangent, y.shape), node.inputs[1]], transposedAttributes(window, groups))
    return splitFront(context, merged, x.shape)
  }
  const gradient = (): string => {
    const patches = appendUnfold(context, node.inputs[0], windowAttributesOf(window, groups))
    const front = [...new Array<number>(isBatch(x.shape[0]) ? 1 : 2).fill(0), isBatch(x.shape[0]) ? -1 : x.shape[0]]
    const g = builder.node('Reshape', [cotangent, builder.integers([...front, groups, weight[0] / groups, positionsOf(window)])])
    return weightCotangent(context, builder.node('MatMul', [g, patches]), x.shape[0], weight, groups)
  }
  return [needs[0] ? inputCotangent() : undefined, needs[1] ? gradient() : undefined, needs[2] ? biasCotangent(context, cotangent) : undefined]
}

function appendUnfold({ builder }: BackwardContext, x: string, attributes: Record<string, Attribute>): string { return builder.node('Unfold', [x], attributes) }

/**
 * The patches under the windows: N x C x space -> N x groups x T x (C / groups * kernel), zero outside of the input.
 * An operator of the core only; the ONNX writer expresses it in others.
 */
const unfoldOperator: Operator = {
  op: 'Unfold',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const { window, groups, width } = unfoldOf(node, x.shape)
    return [{ dtype: x.dtype, shape: [x.shape[0], groups, positionsOf(window), width] }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const { window: axes, groups, width } = unfoldOf(node, x.shape)
    const window = threeAxes(axes)
    const [examples, channels] = x.shape
    const positions = positionsOf(axes)
    const shape = [examples, groups, positions, width]
    const data = context.allocate(x.dtype, sizeOf(shape))
    const own = channels / groups
    for (let group = 0; group < groups; group++) {
      unfoldRows(realData(node, x), window, { total: channels, from: group * own, count: own }, examples, data as RealArray, group * positions * width, groups * positions * width)
    }
    return [{ dtype: x.dtype, shape, data }]
  },
}

function unfoldOf(node: Node, shape: readonly Dim[]): { window: WindowAxis[], groups: number, width: number } {
  const extents = spatialExtents(node, shape)
  const channels = Number(shape[CHANNEL_AXIS])
  const groups = groupsOf(node, channels)
  const window = slidingWindow(node, extents, kernelExtents(node, extents.length))
  return { window, groups, width: channels / groups * kernelSize(window) }
}

/** A transposed convolution: its window slides over the output, and its positions are those of the input. */
function transposedOf(node: Node, shape: readonly Dim[], weight: readonly number[]): Convolution {
  const extents = spatialExtents(node, shape)
  const rank = extents.length
  const channels = Number(shape[CHANNEL_AXIS])
  const groups = groupsOf(node, channels)
  const [own, out, ...shapeOfKernel] = weight
  if (own !== channels) throw badNode(node, `its weight of shape ${formatDims(weight)} does not fit ${channels} channels.`)
  const kernel = kernelExtents(node, rank, shapeOfKernel)
  const { strides, dilations, pads, autoPad } = windowAttributes(node, rank)
  const extra = integersAttribute(node, 'output_padding', new Array<number>(rank).fill(0))
  const wanted = node.attributes['output_shape'] === undefined ? undefined : integersAttribute(node, 'output_shape').slice(-rank)
  const window = extents.map((output, i): WindowAxis => {
    const span = (kernel[i] - 1) * dilations[i] + 1
    const full = (output - 1) * strides[i] + span + extra[i]
    const target = wanted?.[i] ?? (autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER' ? output * strides[i] : undefined)
    const total = target === undefined ? pads[i] + pads[rank + i] : Math.max(0, full - target)
    const less = Math.floor(total / 2)
    const front = target === undefined ? pads[i] : autoPad === 'SAME_UPPER' ? less : total - less
    const input = target ?? full - total
    if (input < 1) throw badNode(node, `its padding leaves nothing of an axis of ${full} elements.`)
    const rest = (output - 1) * strides[i] + span - front - input
    if (-rest >= strides[i]) throw badNode(node, `its output of ${input} elements is longer than ${output} windows in steps of ${strides[i]} reach.`)
    return { input, output, kernel: kernel[i], stride: strides[i], dilation: dilations[i], front, back: Math.max(0, rest) }
  })
  return { window, groups, in: channels, out: out * groups }
}

function runTransposed(node: Node, { window: axes, groups, in: inputs, out: outputs }: Convolution, x: Tensor, weight: Tensor, bias: Tensor | undefined, context: KernelContext): Tensor {
  const window = threeAxes(axes)
  const [positions, plane] = [positionsOf(axes), planeSize(axes)]
  const examples = x.shape[0]
  const [source, weights] = [realData(node, x), realData(node, weight)]
  const out: Tensor = { dtype: x.dtype, shape: [examples, outputs, ...axes.map(axis => axis.input)], data: context.allocate(x.dtype, examples * outputs * plane).fill(0) }
  const target = realData(node, out)
  const [ownIn, ownOut] = [inputs / groups, outputs / groups]
  if (groups > 1 && ownIn === 1) {
    spreadChannels(source, weights, window, ownOut, examples, inputs, target)
    addBias(target, bias, plane)
    return out
  }
  const depth = ownOut * kernelSize(axes)
  const [rows, width] = [examples * window[0].output * window[1].output, window[2].output]
  const most = tileWidth(window, examples)
  const tile = realData(node, { ...out, data: context.allocate(x.dtype, ownIn * most) })
  const patches = realData(node, { ...out, data: context.allocate(x.dtype, depth * most) })
  forEachTile(rows, width, (firstRow, endRow) => {
    const columns = (endRow - firstRow) * width
    for (let group = 0; group < groups; group++) {
      forEachTileRun(window, firstRow, endRow, (example, position, column, count) => {
        for (let c = 0; c < ownIn; c++) {
          const from = (example * inputs + group * ownIn + c) * positions + position
          tile.set(source.subarray(from, from + count), c * columns + column)
        }
      })
      gemm(true, false, depth, columns, ownIn, 1, weights.subarray(group * ownIn * depth, (group + 1) * ownIn * depth), tile.subarray(0, ownIn * columns), 0, patches.subarray(0, depth * columns))
      foldColumns(patches, window, { total: outputs, from: group * ownOut, count: ownOut }, { first: firstRow, end: endRow }, target)
    }
  })
  addBias(target, bias, plane)
  return out
}

/** The transpose of `convolveChannels`. */
function spreadChannels(x: RealArray, weights: RealArray, window: Window, multiplier: number, examples: number, channels: number, out: RealArray): void {
  const [plane, positions, size, stride] = [planeSize(window), positionsOf(window), kernelSize(window), window[2].stride]
  const shifts = shiftsOf(window)
  for (let n = 0; n < examples; n++) for (let o = 0; o < channels * multiplier; o++) {
    const input = (n * channels + Math.floor(o / multiplier)) * positions
    const image = (n * channels * multiplier + o) * plane
    for (let run = 0; run < shifts.length; run++) {
      const weight = weights[o * size + shifts.element[run]]
      const [to, from, count] = [image + shifts.image[run], input + shifts.position[run], shifts.count[run]]
      for (let i = 0, at = to; i < count; i++, at += stride) out[at] += weight * x[from + i]
    }
  }
}

const convTranspose: Operator = {
  op: 'ConvTranspose',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const { window, out } = transposedOf(node, x.shape, weightShape(node, requiredInput(node, inputs, 1), x.shape.length))
    checkBias(node, inputs[2], out)
    return [{ dtype: x.dtype, shape: [x.shape[0], out, ...window.map(axis => axis.input)] }]
  },
  run(node, inputs, context) {
    const [x, weight] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    return [runTransposed(node, transposedOf(node, x.shape, weight.shape), x, weight, inputs[2], context)]
  },
  workspace(node, [x, weight]) {
    const convolution = transposedOf(node, x, weight)
    return tileElements(convolution, x[0], convolution.out)
  },
  backward(context) {
    const { builder, node, inputs: [x, w], outputs: [y], cotangents: [cotangent], needs } = context
    if (cotangent === undefined || x === undefined || w === undefined) return []
    const weight = w.shape as readonly number[]
    const { window, groups } = transposedOf(node, x.shape, weight)
    const attributes = windowAttributesOf(window, groups)
    const merged = mergeFront(context, cotangent, y.shape)
    const gradient = (): string => {
      // x: N x groups x width x T, patches of the cotangent: K x N x groups x T x depth.
      const positions = positionsOf(window)
      const patches = appendUnfold(context, merged, attributes)
      const apart = splitFront(context, patches, [x.shape[0], groups, positions, sizeOf(weight.slice(1))])
      const rows = builder.node('Reshape', [node.inputs[0], builder.integers([isBatch(x.shape[0]) ? -1 : x.shape[0], groups, weight[0] / groups, positions])])
      return weightCotangent(context, builder.node('MatMul', [rows, apart]), x.shape[0], weight, groups)
    }
    return [
      needs[0] ? splitFront(context, builder.node('Conv', [merged, node.inputs[1]], attributes), x.shape) : undefined,
      needs[1] ? gradient() : undefined,
      needs[2] ? biasCotangent(context, cotangent) : undefined,
    ]
  },
}

/** Convolutions. */
export const convolutionOperators: readonly Operator[] = [conv, convTranspose, unfoldOperator]
