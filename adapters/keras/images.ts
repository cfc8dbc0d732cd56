/** @file Convolutions, pools and padding of Keras. Kernels are stored H x W x in x out; `same` padding follows TensorFlow. */
import { GraphError } from '../../core/errors/errors.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName } from './activations.js'
import { field, flag, type KerasLayer, number, sizes, text } from './config.js'
import { channelsFirst, channelsLast, emit, expectWeights, misfit, parameter, permuted,
  type Value } from './emission.js'
import type { LayerContext } from './layers.js'

interface Window {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
}

function windowOf({ config }: KerasLayer, dimensions: number): Window {
  return { kernel: sizes(config, 'kernel_size', dimensions), strides: sizes(config, 'strides', dimensions, 1),
    dilations: sizes(config, 'dilation_rate', dimensions, 1) }
}

/** Positions along each axis after sliding a window, and the padding on both sides in ONNX's order. */
function slide(layer: KerasLayer, x: Value, window: Window): { extents: number[], pads: number[] } {
  const padding = text(layer.config, 'padding') ?? 'valid'
  const low: number[] = []
  const high: number[] = []
  const extents = window.kernel.map((size, i) => {
    const span = (size - 1) * window.dilations[i] + 1
    const input = x.shape[i]
    const stride = window.strides[i]
    // TensorFlow's `same` keeps ceil(input / stride) positions and pads the smaller half in front.
    const total = padding === 'same'
      ? Math.max((Math.ceil(input / stride) - 1) * stride + span - input, 0)
      : padding === 'causal'
      ? span - 1
      : 0
    low.push(padding === 'causal' ? total : Math.floor(total / 2))
    high.push(total - low[i])
    const room = input + total - span
    if (room < 0) throw misfit(layer, `has a window of ${span} for ${input} positions`)
    return Math.floor(room / stride) + 1
  })
  if (!['valid', 'same', 'causal'].includes(padding)) {
    throw misfit(layer, `has the padding '${padding.slice(0, 40)}', which is not known`)
  }
  return { extents, pads: [...low, ...high] }
}

function images(context: LayerContext, value: Value, dimensions: number): { x: Value, channels: number } {
  if (value.shape.length !== dimensions + 1) {
    throw misfit(context.layer, `takes ${dimensions} axes and channels; it gets ${value.shape.length} axes`)
  }
  return { x: channelsFirst(context, value), channels: value.shape[dimensions] }
}

/** A kernel (space..., in, out) as ONNX has it: (out, in, space...). */
function onnxKernel(kernel: Tensor, dimensions: number): Tensor {
  return permuted(kernel, [dimensions + 1, dimensions, ...Array.from({ length: dimensions }, (_, i) => i)])
}

/** Conv1D, Conv2D and their depthwise forms. */
export function convolution(context: LayerContext, value: Value, dimensions: number, depthwise = false): Value {
  const { layer } = context
  const { config } = layer
  const { x, channels } = images(context, value, dimensions)
  const window = windowOf(layer, dimensions)
  const groups = depthwise ? channels : number(config, 'groups') ?? 1
  const useBias = flag(config, 'use_bias', true)
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
    throw misfit(layer, `has ${groups} groups for ${channels} channels`)
  }
  const expected = [...window.kernel, depthwise ? channels : channels / groups, undefined]
  const [kernel, bias] = expectWeights(layer, context.weights, useBias ? [expected, [undefined]] : [expected])
  // Depthwise kernels are (space..., in, multiplier): output channel in * multiplier + m, as in a grouped convolution.
  const stored = depthwise ? depthwiseKernel(kernel, dimensions) : onnxKernel(kernel, dimensions)
  const outputs = stored.shape[0]
  if (bias !== undefined && bias.shape[0] !== outputs) {
    throw misfit(layer, `has a bias of ${bias.shape[0]} elements for ${outputs} channels`)
  }
  const inputs = [x.name, parameter(context, layer, depthwise ? 'depthwise_kernel' : 'kernel', stored),
    ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const { extents, pads } = slide(layer, value, window)
  const result = emit(context, 'Conv', inputs, [...extents, outputs], true, { kernel_shape: window.kernel,
    strides: window.strides, dilations: window.dilations, pads, group: groups })
  return activate(context, activationName(layer), result, layer, context.keras2)
}

function depthwiseKernel(kernel: Tensor, dimensions: number): Tensor {
  const moved = permuted(kernel, [dimensions, dimensions + 1, ...Array.from({ length: dimensions }, (_, i) => i)])
  return { ...moved, shape: [moved.shape[0] * moved.shape[1], 1, ...moved.shape.slice(2)] }
}

/** A depthwise convolution followed by one of windows of size one. */
export function separableConvolution(context: LayerContext, value: Value, dimensions: number): Value {
  const { layer } = context
  const { config } = layer
  const { x, channels } = images(context, value, dimensions)
  const window = windowOf(layer, dimensions)
  const useBias = flag(config, 'use_bias', true)
  const one = Array<number>(dimensions).fill(1)
  const [depth, point, bias] = expectWeights(layer, context.weights, [[...window.kernel, channels, undefined], [...one,
    undefined, undefined], ...(useBias ? [[undefined]] : [])])
  const { extents, pads } = slide(layer, value, window)
  const middle = channels * depth.shape[dimensions + 1]
  const outputs = point.shape[dimensions + 1]
  if (point.shape[dimensions] !== middle || (bias !== undefined && bias.shape[0] !== outputs)) {
    throw misfit(layer, 'has arrays that do not fit each other')
  }
  const first = emit(context, 'Conv', [x.name,
    parameter(context, layer, 'depthwise_kernel', depthwiseKernel(depth, dimensions))], [...extents, middle], true, {
    kernel_shape: window.kernel,
    strides: window.strides,
    dilations: window.dilations,
    pads,
    group: channels,
  })
  const inputs = [first.name, parameter(context, layer, 'pointwise_kernel', onnxKernel(point, dimensions)),
    ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const result = emit(context, 'Conv', inputs, [...extents, outputs], true, { kernel_shape: one, strides: one,
    dilations: one, pads: [...one, ...one].fill(0), group: 1 })
  return activate(context, activationName(layer), result, layer, context.keras2)
}

/** Conv1DTranspose and Conv2DTranspose; kernels are stored (space..., out, in). */
export function transposedConvolution(context: LayerContext, value: Value, dimensions: number): Value {
  const { layer } = context
  const { config } = layer
  const { x, channels } = images(context, value, dimensions)
  const kernelSize = sizes(config, 'kernel_size', dimensions)
  const strides = sizes(config, 'strides', dimensions, 1)
  const dilations = sizes(config, 'dilation_rate', dimensions, 1)
  const padding = text(config, 'padding') ?? 'valid'
  const given = field(config, 'output_padding')
  if ((given !== undefined && given !== null) || dilations.some(each => each !== 1) ||
    !['valid', 'same'].includes(padding)) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${layer.name}' has an output padding or a dilation, which is not supported for ${layer.className}.`, {
      layer: layer.name,
    })
  }
  const useBias = flag(config, 'use_bias', true)
  const [kernel, bias] = expectWeights(layer, context.weights, [[...kernelSize, undefined, channels],
    ...(useBias ? [[undefined]] : [])])
  const outputs = kernel.shape[dimensions]
  if (bias !== undefined && bias.shape[0] !== outputs) {
    throw misfit(layer, `has a bias of ${bias.shape[0]} elements for ${outputs} channels`)
  }
  // `same` gives input * stride positions: what the window reaches beyond them is cut off, the smaller half in front.
  const cut = kernelSize.map((size, i) => (padding === 'same' ? size - strides[i] : 0))
  const pads = [...cut.map(each => Math.floor(Math.max(each, 0) / 2)),
    ...cut.map(each => Math.max(each, 0) - Math.floor(Math.max(each, 0) / 2))]
  // Without `same`, Keras gives input * stride + max(size - stride, 0) positions.
  const outputPadding = kernelSize.map((size, i) => Math.max(strides[i] - size, 0))
  const extents = kernelSize.map((size,
    i) => (padding === 'same' ? x.shape[i] * strides[i] : x.shape[i] * strides[i] + Math.max(size - strides[i], 0))
  )
  const inputs = [x.name, parameter(context, layer, 'kernel', onnxKernel(kernel, dimensions)),
    ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const attributes = { kernel_shape: kernelSize, strides, dilations, pads, group: 1 }
  const result = emit(context, 'ConvTranspose', inputs, [...extents, outputs], true,
    outputPadding.some(each => each > 0) ? { ...attributes, output_padding: outputPadding } : attributes)
  return activate(context, activationName(layer), result, layer, context.keras2)
}

/** Max and average pooling; averages do not count padding. */
export function pooling(context: LayerContext, value: Value, op: 'MaxPool' | 'AveragePool', dimensions: number): Value {
  const { config } = context.layer
  const { x, channels } = images(context, value, dimensions)
  const kernel = sizes(config, 'pool_size', dimensions, 2)
  const strides = field(config, 'strides') === null || field(config, 'strides') === undefined
    ? kernel
    : sizes(config, 'strides', dimensions)
  const { extents, pads } = slide(context.layer, value, { kernel, strides, dilations: kernel.map(() => 1) })
  const attributes = { kernel_shape: kernel, strides, pads }
  return emit(context, op, [x.name], [...extents, channels], true,
    op === 'MaxPool' ? attributes : { ...attributes, count_include_pad: 0 })
}

/** The mean or maximum over all positions. */
export function globalPool(context: LayerContext, value: Value, op: 'ReduceMean' | 'ReduceMax'): Value {
  const x = channelsLast(context, value)
  const dimensions = x.shape.length - 1
  if (dimensions < 1) throw misfit(context.layer, 'takes images or sequences')
  const keep = flag(context.layer.config, 'keepdims', false)
  const channels = x.shape[dimensions]
  const axes = context.builder.integers(Array.from({ length: dimensions }, (_, i) => i + 1))
  return emit(context, op, [x.name, axes], keep ? [...Array<number>(dimensions).fill(1), channels] : [channels], false,
    { keepdims: keep ? 1 : 0 })
}

/** Zeros around the positions: one number, one for each axis, or low and high for each axis. */
export function zeroPadding(context: LayerContext, value: Value, dimensions: number): Value {
  const { x, channels } = images(context, value, dimensions)
  const given = field(context.layer.config, 'padding') ?? 1
  const list: unknown[] = Array.isArray(given) ? given : Array<unknown>(dimensions).fill(given)
  // ZeroPadding1D's pair is low and high of its only axis.
  const pairs = (dimensions === 1 && list.length === 2 ? [list] : list).map(
    each => (Array.isArray(each) ? each : [each, each]),
  )
  const numbers = pairs.flat()
  if (pairs.length !== dimensions || pairs.some(pair => pair.length !== 2) ||
    !numbers.every(each => Number.isInteger(each) && (each as number) >= 0)) {
    throw misfit(context.layer, 'needs non-negative integers as padding')
  }
  const low = pairs.map(pair => pair[0] as number)
  const high = pairs.map(pair => pair[1] as number)
  const extents = low.map((each, i) => value.shape[i] + each + high[i])
  return emit(context, 'Pad', [x.name, context.builder.integers([0, 0, ...low, 0, 0, ...high]),
    context.builder.scalar(0)], [...extents, channels], true, { mode: 'constant' })
}

/** Every position repeated. */
export function upsampling(context: LayerContext, value: Value, dimensions: number): Value {
  const { config } = context.layer
  if ((text(config, 'interpolation') ?? 'nearest') !== 'nearest') {
    throw misfit(context.layer, 'interpolates, which is not supported')
  }
  const factors = sizes(config, 'size', dimensions, 2)
  const x = channelsLast(context, value)
  if (x.shape.length !== dimensions + 1) throw misfit(context.layer, `takes ${dimensions} axes and channels`)
  const { builder } = context
  const positions = x.shape.slice(0, dimensions)
  const channels = x.shape[dimensions]
  const spread = builder.node('Reshape', [x.name,
    builder.integers([-1, ...positions.flatMap(extent => [extent, 1]), channels])])
  const copies = builder.node('Expand', [spread, builder.integers([1, ...factors.flatMap(factor => [1, factor]), 1])])
  const extents = positions.map((extent, i) => extent * factors[i])
  return emit(context, 'Reshape', [copies, builder.integers([-1, ...extents, channels])], [...extents, channels], false)
}
