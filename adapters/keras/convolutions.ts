/**
 * @file Convolutions, pools and padding of Keras. Kernels are stored H x W x in x out; `same` padding follows
 * TensorFlow.
 */
import { GraphError } from '../../core/errors/errors.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName } from './activations.js'
import { field, flag, number, sizes, text } from './config.js'
import { emit, expectWeights, misfit, parameter, permuted, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { images, slide, windowOf } from './window.js'

/**
 * A kernel (space..., in, out) as ONNX has it: (out, in, space...). With another order of axes of equal extent the
 * shapes still fit, and the outputs are wrong without an error.
 */
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
