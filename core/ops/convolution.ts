/**
 * @file Convolutions: Conv, ConvTranspose and Unfold, an operator of our own.
 *
 * Conv is a matrix product of the weight with patches, which are never formed: the kernels pack them out of the padded
 * image (core/kernels/gathered.ts). Inside of the engine a Conv may have a fourth input, which is added to its output,
 * and the attribute `rectified`: see core/engine/fuse-chains.ts.
 */
import { type Attribute, type Dim, isBatch, type Node } from '../graph/graph.js'
import { addGatheredGram, convolve } from '../kernels/gathered.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { sizeOf, type Tensor, tensor } from '../tensor/tensor.js'
import { sumToShape } from './cotangents.js'
import { gatheredProducts, gatheredTables, gatheredWindow, type ProductTables, productTables, repeated,
  tileExamples } from './gathered-window.js'
import { badNode, batchAxisError, integersAttribute, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { unfoldRows } from './patches.js'
import { planned } from './planned.js'
import { mergeFront, splitFront } from './seed-batches.js'
import { formatDims } from './shape-rules.js'
import { CHANNEL_AXIS, type Convolution, kernelExtents, kernelSize, planeSize, positionsOf, slidingWindow,
  spatialExtents, threeAxes, transposedAttributes, windowAttributes, windowAttributesOf,
  type WindowAxis } from './window.js'
import { runWinograd, suitsWinograd, winogradNumbers, type WinogradPlan, winogradPlan } from './winograd.js'

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

/** Numbers beside inputs and outputs: padded planes, and the weights of a transposed convolution turned round. */
function workspaceNumbers(convolution: Convolution, examples: number, weight: readonly number[]): number {
  if (suitsWinograd(convolution, examples)) return winogradNumbers(convolution, examples)
  const gathered = gatheredWindow(threeAxes(convolution.window), convolution.transposed)
  const padded = tileExamples(gathered, convolution.in, examples) * convolution.in * gathered.padding.plane
  return (gathered.needsPadding ? padded : 0) + (convolution.transposed ? sizeOf(weight) : 0)
}

/** What the shapes decide of a convolution. */
interface ConvolutionPlan {
  readonly convolution: Convolution
  /** Extents of the result. */
  readonly shape: readonly number[]
  readonly winograd: WinogradPlan | undefined
  readonly tables: ProductTables
}

function convolutionPlan(convolution: Convolution, examples: number, size: number): ConvolutionPlan {
  const { window, out, transposed } = convolution
  let tables: ProductTables | undefined
  return {
    convolution,
    shape: [examples, out, ...window.map(axis => (transposed ? axis.input : axis.output))],
    winograd: suitsWinograd(convolution, examples) ? winogradPlan(convolution, examples, size) : undefined,
    // Of no use where the filtering does the work.
    get tables(): ProductTables {
      return tables ??= productTables(gatheredWindow(threeAxes(window), transposed), convolution, examples, size)
    },
  }
}

/** What is added to a convolution, and whether negative sums become 0. */
interface Finish {
  readonly bias: Tensor | undefined
  readonly added: Tensor | undefined
  readonly rectified: boolean
}

function runConvolution(node: Node, plan: ConvolutionPlan, x: Tensor, weight: Tensor,
  { bias, added, rectified }: Finish, context: KernelContext): Tensor {
  const { convolution, shape, winograd } = plan
  const allocate = (length: number): RealArray => context.allocate(x.dtype, length) as RealArray
  const out: Tensor = { dtype: x.dtype, shape, data: allocate(sizeOf(shape)) }
  const real = (value: Tensor | undefined): RealArray | undefined => value && realData(node, value)
  const finish = { bias: real(bias), added: real(added), rectified }
  const [image, weights, results] = [x, weight, out].map(value => realData(node, value))
  if (winograd !== undefined && runWinograd(winograd, image, weights, finish, results, allocate)) return out
  const { padding, tile, paddedNumbers, products } = plan.tables
  convolve({
    examples: x.shape[0],
    tile,
    groups: convolution.groups,
    channels: convolution.in,
    outputs: convolution.out,
    imagePlane: sizeOf(x.shape.slice(CHANNEL_AXIS + 1)),
    plane: sizeOf(shape.slice(CHANNEL_AXIS + 1)),
    // Between the lines that are copied in nothing writes again.
    ...(paddedNumbers === 0 ? {} : { padded: allocate(paddedNumbers).fill(0) }),
    padding,
    products: gatheredProducts(products, convolution, kernelSize(convolution.window), weights),
    ...finish,
  }, image, results)
  return out
}

/** Conv and ConvTranspose, but for their derivatives. */
function convolutionOperator(op: string, resolve: typeof convolutionOf, backward?: Operator['backward']): Operator {
  const finish = (node: Node, inputs: readonly (Tensor | undefined)[]): Finish => (op === 'FusedConv'
    ? { bias: inputs[2], added: inputs[3], rectified: numberAttribute(node, 'rectified', 0) !== 0 }
    : { bias: inputs[2], added: undefined, rectified: false })
  return {
    op,
    ...(backward === undefined ? {} : { backward }),
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
      const plan = planned(node, [x, weight],
        () => convolutionPlan(resolve(node, x.shape, weight.shape), x.shape[0], realData(node, x).BYTES_PER_ELEMENT))
      return [runConvolution(node, plan, x, weight, finish(node, inputs), context)]
    },
    workspace: (node, [x, weight]) => workspaceNumbers(resolve(node, x, weight), x[0], weight),
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
 * Adds the lower triangle of P'P to the sum, for the patches P that an Unfold node in one group would make.
 * @returns false, and nothing is done, where the kernels cannot
 */
export function addPatchGram(node: Node, x: Tensor, sum: Float64Array, context: KernelContext): boolean {
  const { window: axes, groups, width } = unfoldOf(node, x.shape)
  if (groups !== 1 || width * width !== sum.length) return false
  const [examples, channels] = x.shape
  const gathered = gatheredWindow(threeAxes(axes), false)
  const tile = tileExamples(gathered, channels, examples)
  const { plane } = gathered.padding
  const image = realData(node, x)
  const [{ steps, origins }] = gatheredTables(gathered, image.BYTES_PER_ELEMENT)
  return addGatheredGram({
    examples,
    tile,
    channels,
    imagePlane: planeSize(axes),
    ...(gathered.needsPadding
      ? { padding: gathered.padding,
        padded: realData(node, { ...x, data: context.allocate(x.dtype, tile * channels * plane).fill(0) }) }
      : {}),
    rows: repeated(steps, channels, plane * image.BYTES_PER_ELEMENT),
    columns: repeated(origins, tile, channels * plane * image.BYTES_PER_ELEMENT),
  }, image, sum)
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
  convolutionOperator('FusedConv', convolutionOf),
  convolutionOperator('ConvTranspose', transposedOf, transposedBackward),
  unfoldOperator,
]
