/**
 * @file Convolutions, pools and padding of Keras. Kernels are stored H x W x in x out; `same` padding follows
 * TensorFlow.
 */
import type { Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName } from './activations.js'
import { permuted } from './arrays.js'
import { field, flag, number, text } from './config.js'
import { type Emission, emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import type { KerasLayer } from './model.js'
import { images, slide, type Window, windowOf } from './window.js'

/**
 * A kernel (space..., in, out) as ONNX has it: (out, in, space...). With another order of axes of equal extent the
 * shapes still fit, and the outputs are wrong without an error.
 */
export function onnxKernel(kernel: Tensor, dimensions: number): Tensor {
  return permuted(kernel, [dimensions + 1, dimensions, ...Array.from({ length: dimensions }, (_, i) => i)])
}

/** A convolution's node: the value, its kernel and perhaps its bias, with the padding of the layer. */
export function convolved(emission: Emission, layer: KerasLayer, x: Value, arrays: readonly string[], window: Window,
  outputs: number, groups = 1): Value {
  const { extents, pads } = slide(layer, x, window)
  return emit(emission, 'Conv', [x.name, ...arrays], [...extents, outputs], true, { kernel_shape: window.kernel,
    strides: window.strides, dilations: window.dilations, pads, group: groups })
}

/** Conv1D, Conv2D, Conv3D and their depthwise forms. */
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
  const arrays = [parameter(context, layer, depthwise ? 'depthwise_kernel' : 'kernel', stored),
    ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const result = convolved(context, layer, x, arrays, window, outputs, groups)
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
  const middle = channels * depth.shape[dimensions + 1]
  const outputs = point.shape[dimensions + 1]
  if (point.shape[dimensions] !== middle || (bias !== undefined && bias.shape[0] !== outputs)) {
    throw misfit(layer, 'has arrays that do not fit each other')
  }
  const depthKernel = parameter(context, layer, 'depthwise_kernel', depthwiseKernel(depth, dimensions))
  const first = convolved(context, layer, x, [depthKernel], window, middle, channels)
  const arrays = [parameter(context, layer, 'pointwise_kernel', onnxKernel(point, dimensions)),
    ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const result = convolved(context, { ...layer, config: { ...config, padding: 'valid' } }, first, arrays, { kernel: one,
    strides: one, dilations: one }, outputs)
  return activate(context, activationName(layer), result, layer, context.keras2)
}

/** Conv1DTranspose to Conv3DTranspose; kernels are stored (space..., out, in). */
export function transposedConvolution(context: LayerContext, value: Value, dimensions: number): Value {
  const { layer } = context
  const { config } = layer
  const { x, channels } = images(context, value, dimensions)
  const window = windowOf(layer, dimensions)
  const useBias = flag(config, 'use_bias', true)
  const [kernel, bias] = expectWeights(layer, context.weights, [[...window.kernel, undefined, channels],
    ...(useBias ? [[undefined]] : [])])
  const outputs = kernel.shape[dimensions]
  if (bias !== undefined && bias.shape[0] !== outputs) {
    throw misfit(layer, `has a bias of ${bias.shape[0]} elements for ${outputs} channels`)
  }
  const { extents, pads, outputPadding } = spread(layer, x, window)
  const inputs = [x.name, parameter(context, layer, 'kernel', onnxKernel(kernel, dimensions)),
    ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const attributes = { kernel_shape: window.kernel, strides: window.strides, dilations: window.dilations, pads,
    group: 1 }
  const result = emit(context, 'ConvTranspose', inputs, [...extents, outputs], true,
    outputPadding.some(each => each > 0) ? { ...attributes, output_padding: outputPadding } : attributes)
  return activate(context, activationName(layer), result, layer, context.keras2)
}

/**
 * Positions after a transposed convolution, and what is cut off: without a given output padding, `same` gives input *
 * stride positions, the smaller half cut in front, and `valid` input * stride + max(span - stride, 0).
 */
function spread(layer: KerasLayer, x: Value,
  { kernel, strides, dilations }: Window): { extents: number[], pads: number[], outputPadding: number[] } {
  const padding = text(layer.config, 'padding') ?? 'valid'
  if (!['valid', 'same'].includes(padding)) throw misfit(layer, `has the padding '${padding.slice(0, 40)}'`)
  const given = field(layer.config, 'output_padding')
  const extras = given === undefined || given === null ? undefined : typeof given === 'number'
    ? kernel.map(() => given)
    : given as readonly number[]
  if (extras !== undefined && (!Array.isArray(extras) || extras.length !== kernel.length)) {
    throw misfit(layer, 'needs one output padding an axis')
  }
  const low: number[] = []
  const high: number[] = []
  const outputPadding: number[] = []
  const extents = kernel.map((size, i) => {
    const span = (size - 1) * dilations[i] + 1
    const stride = strides[i]
    // All that the window reaches, and how much of it is kept.
    const full = (x.shape[i] - 1) * stride + span
    const kept = extras === undefined
      ? padding === 'same' ? x.shape[i] * stride : x.shape[i] * stride + Math.max(span - stride, 0)
      : full - (padding === 'same' ? 2 * Math.floor(span / 2) : 0) + extras[i]
    const front = padding !== 'same'
      ? 0
      : extras === undefined
      ? Math.floor(Math.max(span - stride, 0) / 2)
      : Math.floor(span / 2)
    const back = full - front - kept
    low.push(front)
    high.push(Math.max(back, 0))
    outputPadding.push(Math.max(-back, 0))
    return kept
  })
  return { extents, pads: [...low, ...high], outputPadding }
}
