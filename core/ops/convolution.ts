/**
 * @file Convolutions: Conv, ConvTranspose and Unfold, an operator of our own.
 *
 * Conv is a matrix product of the weight with patches. Patches are made for about a thousand positions at a time, whole
 * rows of one or several examples, so that they stay in the cache whatever the size of the image.
 */
import { type Attribute, type Dim, isBatch, type Node } from '../graph/graph.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { sizeOf, type Tensor, tensor } from '../tensor/tensor.js'
import { sumToShape } from './cotangents.js'
import { badNode, batchAxisError, integersAttribute, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { foldColumns, shiftsOf, unfoldColumns, unfoldRows } from './patches.js'
import { mergeFront, splitFront } from './seed-batches.js'
import { formatDims } from './shape-rules.js'
import { CHANNEL_AXIS, kernelExtents, kernelSize, planeSize, positionsOf, slidingWindow, spatialExtents, threeAxes,
  transposedAttributes, type Window, windowAttributes, windowAttributesOf, type WindowAxis } from './window.js'

/** Columns of patches that are made at a time. */
const COLUMNS = 1024

function realData(node: Node, { data }: Tensor): RealArray {
  if (data instanceof Uint8Array) throw badNode(node, 'its inputs must be numbers; one is of type bool.')
  return data
}

/** The extents of a weight, which must be the same for all examples. */
function weightShape(node: Node, { shape }: InferredValue, rank: number): readonly number[] {
  if (shape.some(isBatch)) throw batchAxisError(node, 'its weight differs from example to example.')
  if (shape.length !== rank) {
    throw badNode(node, `its weight of shape ${formatDims(shape)} does not have the ${rank} axes of its input.`)
  }
  return shape as readonly number[]
}

/** The number of groups. @throws GraphError BAD_GRAPH when it does not divide the channels */
function groupsOf(node: Node, channels: number): number {
  const groups = numberAttribute(node, 'group', 1)
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
    throw badNode(node, `${channels} channels cannot be divided into ${groups} groups.`)
  }
  return groups
}

function checkBias(node: Node, bias: InferredValue | undefined, channels: number): void {
  if (bias !== undefined && (bias.shape.length !== 1 || bias.shape[0] !== channels)) {
    throw badNode(node,
      `its bias of shape ${formatDims(bias.shape)} does not have one number for each of the ${channels} channels.`)
  }
}

/**
 * A convolution of N x C x space with a weight of out x (in / groups) x kernel, or a transposed one with a weight of
 * in x (out / groups) x kernel: the window of one slides over its input, that of the other over its output.
 */
interface Convolution {
  readonly window: WindowAxis[]
  readonly groups: number
  readonly in: number
  readonly out: number
  readonly transposed: boolean
}

function convolutionOf(node: Node, shape: readonly Dim[], weight: readonly number[]): Convolution {
  const extents = spatialExtents(node, shape)
  const channels = Number(shape[CHANNEL_AXIS])
  const groups = groupsOf(node, channels)
  const [out, own, ...kernel] = weight
  if (own * groups !== channels || out % groups !== 0) {
    throw badNode(node,
      `its weight of shape ${formatDims(weight)} does not fit ${channels} channels in ${groups} group${
        groups === 1 ? '' : 's'
      }.`)
  }
  return { window: slidingWindow(node, extents, kernelExtents(node, extents.length, kernel)), groups, in: channels, out,
    transposed: false }
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

/** Channels of a group on the side that the window slides over, and at its positions. */
function ownChannels({ groups, in: inputs, out, transposed }: Convolution): [image: number, line: number] {
  const [own, other] = [inputs / groups, out / groups]
  return transposed ? [other, own] : [own, other]
}

/** Whether every channel is convolved by itself. */
function isDepthwise({ groups, in: inputs }: Convolution): boolean {
  return groups > 1 && inputs === groups
}

/** Elements of a tile: patches, and what is multiplied with the weight to make them or made of them. */
function tileElements(convolution: Convolution, examples: number): number {
  if (isDepthwise(convolution)) return 0
  const [image, line] = ownChannels(convolution)
  return tileWidth(threeAxes(convolution.window), examples) * (image * kernelSize(convolution.window) + line)
}

/**
 * Between the columns of a tile (channels x columns, from `at` on) and N x C x positions: copies runs of one example
 * each.
 */
function forEachTileRun(window: Window, firstRow: number, endRow: number,
  visit: (example: number, position: number, column: number, count: number) => void): void {
  const [depth, height, width] = window
  const rows = depth.output * height.output
  for (let row = firstRow; row < endRow;) {
    const example = Math.floor(row / rows)
    const end = Math.min(endRow, (example + 1) * rows)
    visit(example, (row - example * rows) * width.output, (row - firstRow) * width.output, (end - row) * width.output)
    row = end
  }
}

function runConvolution(node: Node, convolution: Convolution, x: Tensor, weight: Tensor, bias: Tensor | undefined,
  context: KernelContext): Tensor {
  const { window, out: channels, transposed } = convolution
  const space = window.map(axis => (transposed ? axis.input : axis.output))
  const shape = [x.shape[0], channels, ...space]
  const out: Tensor = { dtype: x.dtype, shape, data: context.allocate(x.dtype, sizeOf(shape)) }
  const [source, weights, target] = [x, weight, out].map(value => realData(node, value))
  // These two add to what is there, and storage from a pool holds older values.
  if (transposed || isDepthwise(convolution)) target.fill(0)
  if (isDepthwise(convolution)) convolveChannels(convolution, source, weights, x.shape[0], target)
  else {
    const allocate = (elements: number): RealArray =>
      realData(node, { ...out, data: context.allocate(x.dtype, elements) })
    convolveTiles(convolution, source, weights, x.shape[0], target, allocate)
  }
  addBias(target, bias, sizeOf(space))
  return out
}

/**
 * Patches of a tile times the weight; transposed, the weight times a tile makes patches, which are added up where they
 * belong.
 */
function convolveTiles(convolution: Convolution, x: RealArray, weights: RealArray, examples: number, out: RealArray,
  allocate: (elements: number) => RealArray): void {
  const { window: axes, groups, transposed } = convolution
  const window = threeAxes(axes)
  const [own, line] = ownChannels(convolution)
  const [depth, positions, most] = [own * kernelSize(axes), positionsOf(axes), tileWidth(window, examples)]
  const [allPatches, allLines] = [allocate(depth * most), allocate(line * most)]
  forEachTile(examples * window[0].output * window[1].output, window[2].output, (first, end) => {
    const columns = (end - first) * window[2].output
    const [patches, lines] = [allPatches.subarray(0, depth * columns), allLines.subarray(0, line * columns)]
    for (let group = 0; group < groups; group++) {
      const channels = { total: groups * own, from: group * own, count: own }
      const weight = weights.subarray(group * line * depth, (group + 1) * line * depth)
      const copyLines = (copy: (at: number, column: number, count: number) => void): void => {
        forEachTileRun(window, first, end, (example, position, column, count) => {
          for (let c = 0; c < line; c++) {
            copy(((example * groups + group) * line + c) * positions + position, c * columns + column, count)
          }
        })
      }
      if (transposed) {
        copyLines((from, to, count) => {
          lines.set(x.subarray(from, from + count), to)
        })
        gemm(true, false, depth, columns, line, 1, weight, lines, 0, patches)
        foldColumns(patches, window, channels, { first, end }, out)
      } else {
        unfoldColumns(x, window, channels, { first, end }, patches)
        gemm(false, false, line, columns, depth, 1, weight, patches, 0, lines)
        copyLines((to, from, count) => {
          out.set(lines.subarray(from, from + count), to)
        })
      }
    }
  })
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

/** Every channel by itself, with one or several outputs a channel: shifted rows are added, without patches. */
function convolveChannels({ window: axes, in: channels, out: outputs, transposed }: Convolution, x: RealArray,
  weights: RealArray, examples: number, out: RealArray): void {
  const window = threeAxes(axes)
  const [plane, positions, size, stride] = [planeSize(window), positionsOf(window), kernelSize(window),
    window[2].stride]
  const shifts = shiftsOf(window)
  for (let n = 0; n < examples; n++) {
    for (let o = 0; o < outputs; o++) {
      const [input, output] = [n * channels + Math.floor(o * channels / outputs), n * outputs + o]
      const [image, line] = transposed ? [output * plane, input * positions] : [input * plane, output * positions]
      for (let run = 0; run < shifts.length; run++) {
        const weight = weights[o * size + shifts.element[run]]
        const [start, first, count] = [image + shifts.image[run], line + shifts.position[run], shifts.count[run]]
        if (transposed) { for (let i = 0, at = start; i < count; i++, at += stride) out[at] += weight * x[first + i] }
        else for (let i = 0, at = start; i < count; i++, at += stride) out[first + i] += weight * x[at]
      }
    }
  }
}

/** Conv and ConvTranspose, but for their derivatives. */
function convolutionOperator(op: string, resolve: typeof convolutionOf,
  backward: NonNullable<Operator['backward']>): Operator {
  return {
    op,
    backward,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      const { window, out, transposed } = resolve(node, x.shape,
        weightShape(node, requiredInput(node, inputs, 1), x.shape.length))
      checkBias(node, inputs[2], out)
      return [{ dtype: x.dtype,
        shape: [x.shape[0], out, ...window.map(axis => (transposed ? axis.input : axis.output))] }]
    },
    run(node, inputs, context) {
      const [x, weight] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
      return [runConvolution(node, resolve(node, x.shape, weight.shape), x, weight, inputs[2], context)]
    },
    workspace: (node, [x, weight]) => tileElements(resolve(node, x, weight), x[0]),
  }
}

/** The attributes of the Unfold that makes the patches of a Conv node. */
export function patchAttributes(node: Node, input: readonly Dim[],
  weight: readonly number[]): Record<string, Attribute> {
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
 * The per-example gradient of a weight: for every group the product of g (width x T) with the transposed patches (depth
 * x T), summed over what axis 0 holds besides the examples.
 */
function weightCotangent(context: BackwardContext, product: string, first: Dim, weight: readonly number[],
  groups: number): string {
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
    const merged = builder.node('ConvTranspose', [mergeFront(context, cotangent, y.shape), node.inputs[1]],
      transposedAttributes(window, groups))
    return splitFront(context, merged, x.shape)
  }
  const gradient = (): string => {
    const patches = appendUnfold(context, node.inputs[0], windowAttributesOf(window, groups))
    const front = [...new Array<number>(isBatch(x.shape[0]) ? 1 : 2).fill(0), isBatch(x.shape[0]) ? -1 : x.shape[0]]
    const g = builder.node('Reshape', [cotangent,
      builder.integers([...front, groups, weight[0] / groups, positionsOf(window)])])
    return weightCotangent(context, builder.node('MatMul', [g, patches]), x.shape[0], weight, groups)
  }
  return [needs[0] ? inputCotangent() : undefined, needs[1] ? gradient() : undefined,
    needs[2] ? biasCotangent(context, cotangent) : undefined]
}

function appendUnfold({ builder }: BackwardContext, x: string, attributes: Record<string, Attribute>): string {
  return builder.node('Unfold', [x], attributes)
}

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
      unfoldRows(realData(node, x), window, { total: channels, from: group * own, count: own }, examples,
        data as RealArray, group * positions * width, groups * positions * width)
    }
    return [{ dtype: x.dtype, shape, data }]
  },
  backward: unfoldBackward,
}

/**
 * The transpose of making patches: every patch is added where it was taken from. That is a transposed convolution whose
 * weight hands element k of a patch of channel c to place k of the window over that channel.
 */
function unfoldBackward(context: BackwardContext): (string | undefined)[] {
  const { builder, node, inputs: [x], outputs: [y], cotangents: [cotangent] } = context
  if (cotangent === undefined || x === undefined) return [undefined]
  const { window } = unfoldOf(node, x.shape)
  const [channels, size] = [Number(x.shape[CHANNEL_AXIS]), kernelSize(window)]
  const columns = builder.node('Transpose', [mergeFront(context, cotangent, y.shape)], { perm: [0, 1, 3, 2] })
  const patches = builder.node('Reshape', [columns,
    builder.integers([0, channels * size, ...window.map(axis => axis.output)])])
  const shape = [channels * size, 1, ...window.map(axis => axis.kernel)]
  const places = tensor(builder.precision, shape,
    Array.from({ length: channels * size * size }, (_, i) => (Math.floor(i / size) % size === i % size ? 1 : 0)))
  const folded = builder.node('ConvTranspose', [patches, builder.constant(places)],
    transposedAttributes(window, channels))
  return [splitFront(context, folded, x.shape)]
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
  if (own !== channels) {
    throw badNode(node, `its weight of shape ${formatDims(weight)} does not fit ${channels} channels.`)
  }
  const kernel = kernelExtents(node, rank, shapeOfKernel)
  const { strides, dilations, pads, autoPad } = windowAttributes(node, rank)
  const extra = integersAttribute(node, 'output_padding', new Array<number>(rank).fill(0))
  const wanted = node.attributes['output_shape'] === undefined
    ? undefined
    : integersAttribute(node, 'output_shape').slice(-rank)
  const window = extents.map((output, i): WindowAxis => {
    const span = (kernel[i] - 1) * dilations[i] + 1
    const full = (output - 1) * strides[i] + span + extra[i]
    if (wanted === undefined && autoPad.startsWith('SAME') && full < output * strides[i]) {
      throw badNode(node, `auto_pad ${autoPad} with a kernel of ${span} in steps of ${strides[i]}: the standard adds ` +
        'zeros at the end, runtimes do not. Write pads and output_padding in its place.')
    }
    const target = wanted?.[i] ??
      (autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER' ? output * strides[i] : undefined)
    const total = target === undefined ? pads[i] + pads[rank + i] : Math.max(0, full - target)
    const less = Math.floor(total / 2)
    const front = target === undefined ? pads[i] : autoPad === 'SAME_UPPER' ? less : total - less
    const input = target ?? full - total
    if (input < 1) throw badNode(node, `its padding leaves nothing of an axis of ${full} elements.`)
    const rest = (output - 1) * strides[i] + span - front - input
    if (-rest >= strides[i]) {
      throw badNode(node,
        `its output of ${input} elements is longer than ${output} windows in steps of ${strides[i]} reach.`)
    }
    return { input, output, kernel: kernel[i], stride: strides[i], dilation: dilations[i], front,
      back: Math.max(0, rest) }
  })
  return { window, groups, in: channels, out: out * groups, transposed: true }
}

function transposedBackward(context: BackwardContext): (string | undefined)[] {
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
    const rows = builder.node('Reshape', [node.inputs[0],
      builder.integers([isBatch(x.shape[0]) ? -1 : x.shape[0], groups, weight[0] / groups, positions])])
    return weightCotangent(context, builder.node('MatMul', [rows, apart]), x.shape[0], weight, groups)
  }
  return [
    needs[0] ? splitFront(context, builder.node('Conv', [merged, node.inputs[1]], attributes), x.shape) : undefined,
    needs[1] ? gradient() : undefined,
    needs[2] ? biasCotangent(context, cotangent) : undefined,
  ]
}

/** Convolutions. */
export const convolutionOperators: readonly Operator[] = [
  convolutionOperator('Conv', convolutionOf, convBackward),
  convolutionOperator('ConvTranspose', transposedOf, transposedBackward),
  unfoldOperator,
]
