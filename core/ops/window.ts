/** @file Sliding windows over spatial axes: what convolutions and pools share. */
import { type Attribute, type Dim, isBatch, type Node } from '../graph/graph.js'
import { badNode, batchAxisError, integersAttribute, stringAttribute } from './node-attributes.js'
import { formatDims } from './shape-rules.js'

/** Axis 0 holds examples, axis 1 channels, the rest is space. */
export const CHANNEL_AXIS = 1
const MOST_SPATIAL_AXES = 3

/**
 * A window along one spatial axis: position o covers the inputs o stride - front + k dilation for k = 0 .. kernel - 1.
 */
export interface WindowAxis {
  readonly input: number
  readonly output: number
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  /** Padding in front of the first and behind the last input. */
  readonly front: number
  readonly back: number
}

/** Depth, height and width; axes that a value does not have are of extent 1. */
export type Window = readonly [WindowAxis, WindowAxis, WindowAxis]

const TRIVIAL: WindowAxis = { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, front: 0, back: 0 }

/** Fills up to three axes, for the kernels. */
export function threeAxes(axes: readonly WindowAxis[]): Window {
  const [depth, height, width] = [...new Array<WindowAxis>(MOST_SPATIAL_AXES - axes.length).fill(TRIVIAL), ...axes]
  return [depth, height, width]
}

/** Windows at all positions: the number of outputs of one channel. */
export function positionsOf(window: readonly WindowAxis[]): number {
  return window.reduce((size, axis) => size * axis.output, 1)
}

/** Elements of a window: the number of inputs of one channel that it covers. */
export function kernelSize(window: readonly WindowAxis[]): number {
  return window.reduce((size, axis) => size * axis.kernel, 1)
}

/** Elements of one channel. */
export function planeSize(window: readonly WindowAxis[]): number {
  return window.reduce((size, axis) => size * axis.input, 1)
}

/**
 * The spatial extents of a value N x C x space.
 * @throws GraphError BATCH_AXIS when another axis than the first carries examples, BAD_GRAPH for more than three
 * spatial axes
 */
export function spatialExtents(node: Node, shape: readonly Dim[]): number[] {
  const [, channels, ...space] = shape
  if (shape.length < 3 || space.length > MOST_SPATIAL_AXES) {
    throw badNode(node,
      `its input must have examples, channels and 1 to ${MOST_SPATIAL_AXES} spatial axes; its shape is ${
        formatDims(shape)
      }.`)
  }
  if (isBatch(channels) || space.some(isBatch)) {
    throw batchAxisError(node, `the examples of its input of shape ${formatDims(shape)} must lie on axis 0.`)
  }
  return space as number[]
}

type AutoPad = 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER'

/** One list of numbers, one an axis, not smaller than `least`. */
function listAttribute(node: Node, key: string, count: number, fallback: number, least: number): readonly number[] {
  const values = integersAttribute(node, key, new Array<number>(count).fill(fallback))
  if (values.length !== count || values.some(value => !Number.isInteger(value) || value < least)) {
    throw badNode(node,
      `attribute '${key}' must hold ${count} integers of at least ${least}; it holds ${values.join(', ')}.`)
  }
  return values
}

/** What the attributes say, without the padding that follows from them. */
interface WindowAttributes {
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
  readonly autoPad: AutoPad
}

/** Reads strides, dilations, pads and auto_pad. @throws GraphError BAD_GRAPH */
export function windowAttributes(node: Node, rank: number): WindowAttributes {
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET')
  if (autoPad !== 'NOTSET' && autoPad !== 'VALID' && autoPad !== 'SAME_UPPER' && autoPad !== 'SAME_LOWER') {
    throw badNode(node, `auto_pad '${autoPad}' is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER.`)
  }
  return {
    autoPad,
    strides: listAttribute(node, 'strides', rank, 1, 1),
    dilations: listAttribute(node, 'dilations', rank, 1, 1),
    pads: autoPad === 'NOTSET' ? listAttribute(node, 'pads', 2 * rank, 0, 0) : new Array<number>(2 * rank).fill(0),
  }
}

/** The kernel's extents; where the weight tells them, the attribute must agree. @throws GraphError BAD_GRAPH */
export function kernelExtents(node: Node, rank: number, weight?: readonly number[]): readonly number[] {
  const kernel = node.attributes['kernel_shape'] === undefined && weight !== undefined
    ? weight
    : listAttribute(node, 'kernel_shape', rank, 0, 1)
  if (weight !== undefined && (kernel.length !== weight.length || kernel.some((extent, i) => extent !== weight[i]))) {
    throw badNode(node, `kernel_shape ${kernel.join(' x ')} differs from that of its weight, ${weight.join(' x ')}.`)
  }
  return kernel
}

/**
 * The windows of a convolution or pool over `extents`; `ceil` also counts a last window that reaches beyond the
 * padding.
 * @throws GraphError BAD_GRAPH for a window longer than the padded axis
 */
export function slidingWindow(node: Node, extents: readonly number[], kernel: readonly number[],
  ceil = false): WindowAxis[] {
  const rank = extents.length
  const { strides, dilations, pads, autoPad } = windowAttributes(node, rank)
  return extents.map((input, i) => {
    const [stride, dilation] = [strides[i], dilations[i]]
    const span = (kernel[i] - 1) * dilation + 1
    const same = autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER'
    const total = same ? Math.max(0, (Math.ceil(input / stride) - 1) * stride + span - input) : 0
    const less = Math.floor(total / 2)
    const front = same ? (autoPad === 'SAME_UPPER' ? less : total - less) : pads[i]
    const back = same ? total - front : pads[rank + i]
    const room = input + front + back - span
    let output = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1
    // A window that is rounded up may be longer than the axis.
    if (output < 1) {
      throw badNode(node, `its window covers ${span} elements of an axis of ${input} with ${front + back} of padding.`)
    }
    // A last window must begin within the input or the padding in front of it.
    if (ceil && (output - 1) * stride >= input + front) output--
    return { input, output, kernel: kernel[i], stride, dilation, front, back }
  })
}

/** The first position whose window has its element k inside of the input, and the first behind them. */
export function validPositions({ input, output, stride, dilation, front }: WindowAxis, k: number): [number, number] {
  const shift = front - k * dilation
  const first = Math.max(0, Math.ceil(shift / stride))
  const end = Math.min(output, Math.floor((input - 1 + shift) / stride) + 1)
  return [first, Math.max(first, end)]
}

/** Attributes of the transposed convolution whose output has the extents of the window's input. */
export function transposedAttributes(window: readonly WindowAxis[], groups: number): Record<string, Attribute> {
  const reach = window.map(({ output, stride, kernel, dilation, front }) =>
    (output - 1) * stride + (kernel - 1) * dilation + 1 - front
  )
  return {
    kernel_shape: window.map(axis => axis.kernel),
    strides: window.map(axis => axis.stride),
    dilations: window.map(axis => axis.dilation),
    group: groups,
    pads: [...window.map(axis => axis.front), ...window.map(({ input }, i) => Math.max(0, reach[i] - input))],
    output_padding: window.map(({ input }, i) => Math.max(0, input - reach[i])),
  }
}

/** The attributes of a convolution over the window. */
export function windowAttributesOf(window: readonly WindowAxis[], groups: number): Record<string, Attribute> {
  return {
    kernel_shape: window.map(axis => axis.kernel),
    strides: window.map(axis => axis.stride),
    dilations: window.map(axis => axis.dilation),
    group: groups,
    pads: [...window.map(axis => axis.front), ...window.map(axis => axis.back)],
  }
}

/**
 * A convolution of N x C x space with a weight of out x (in / groups) x kernel, or a transposed one with a weight of
 * in x (out / groups) x kernel: the window of one slides over its input, that of the other over its output.
 */
export interface Convolution {
  readonly window: readonly WindowAxis[]
  readonly groups: number
  readonly in: number
  readonly out: number
  readonly transposed: boolean
}
