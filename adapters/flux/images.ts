/**
 * @file Convolutions, pools and padding of images.
 *
 * Flux lists widths before heights; the graph's axes are reversed (N x C x H x W), and so is every list of sizes here.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { sizeOf } from '../../core/tensor/tensor.js'
import { constantArray, type Emission, emit, misfit, parameter, type Value, vectorForm } from './emission.js'
import type { ConvLayer } from './layers.js'

export interface Window {
  readonly kernel: readonly number[]
  readonly pad: readonly number[]
  readonly stride: readonly number[]
}

/** Flux's padding (one number, one a dimension, or low and high for each) as ONNX's: all lows, then all highs, last dimension first. */
function onnxPads(pad: readonly number[], dimensions: number, path: string): number[] {
  const low = (
    d: number,
  ): number => (pad.length === 2 * dimensions ? pad[2 * d] : pad.length === dimensions ? pad[d] : pad[0])
  const high = (
    d: number,
  ): number => (pad.length === 2 * dimensions ? pad[2 * d + 1] : pad.length === dimensions ? pad[d] : pad[0])
  if (![1, dimensions, 2 * dimensions].includes(pad.length)) {
    throw malformedWindow(path, `${pad.length} paddings for ${dimensions} dimensions`)
  }
  const reversed = Array.from({ length: dimensions }, (_, i) => dimensions - 1 - i)
  return [...reversed.map(low), ...reversed.map(high)]
}

function malformedWindow(path: string, what: string): UntrustedInputError {
  return new UntrustedInputError(`The layer '${path}' has ${what}.`, { format: 'BSON.jl', path })
}

/** A list of sizes in Flux's order, one number standing for all dimensions, in the graph's order. */
function perDimension(sizes: readonly number[], dimensions: number, path: string): number[] {
  if (sizes.length === 1) return Array<number>(dimensions).fill(sizes[0])
  if (sizes.length !== dimensions) throw malformedWindow(path, `${sizes.length} sizes for ${dimensions} dimensions`)
  return [...sizes].reverse()
}

/** Output extent of a window that slides over `extent` positions; counts what is left over at the end. */
function slide(emission: Emission, extent: number, window: number, stride: number, path: string, x: Value): number {
  const room = extent - window
  if (room < 0 || stride < 1 || window < 1) {
    throw misfit(path, 'The layer', `at least ${window} positions in each direction`, x)
  }
  emission.lost += room % stride
  return Math.floor(room / stride) + 1
}

/** Max and mean pooling. Flux's mean counts padded zeros. */
export function pool(emission: Emission, x: Value, mode: 'max' | 'mean', window: Window, path: string): Value {
  const dimensions = window.kernel.length === 1 ? x.shape.length - 1 : window.kernel.length
  if (dimensions < 1 || x.shape.length !== dimensions + 1) {
    throw misfit(path, 'A pooling layer', `images with ${dimensions} axes and a channel axis`, x)
  }
  const kernel = perDimension(window.kernel, dimensions, path)
  const strides = perDimension(window.stride, dimensions, path)
  const pads = onnxPads(window.pad, dimensions, path)
  const shape = [x.shape[0],
    ...kernel.map((size, i) =>
      slide(emission, x.shape[i + 1] + pads[i] + pads[i + dimensions], size, strides[i], path, x)
    )]
  const attributes = { kernel_shape: kernel, strides, pads }
  return mode === 'max'
    ? emit(emission, 'MaxPool', [x.name], shape, attributes)
    : emit(emission, 'AveragePool', [x.name], shape, { ...attributes, count_include_pad: 1 })
}

/** Adaptive pooling as Flux computes it: one stride and one window for all positions. */
export function adaptivePool(emission: Emission, x: Value, mode: 'max' | 'mean', out: readonly number[],
  path: string): Value {
  const inputs = x.shape.slice(1).reverse()
  if (inputs.length !== out.length) {
    throw misfit(path, 'An adaptive pooling layer', `images with ${out.length} axes and a channel axis`, x)
  }
  const stride = inputs.map((extent, i) => Math.floor(extent / out[i]))
  const kernel = inputs.map((extent, i) => extent - (out[i] - 1) * stride[i])
  if (stride.some(step => !(step >= 1))) {
    throw misfit(path, 'An adaptive pooling layer', `images of at least ${out.join(' x ')}`, x)
  }
  return pool(emission, x, mode, { kernel, pad: [0], stride }, path)
}

/** The weight of a convolution in ONNX's layout: the bytes of the file, each kernel turned round (Flux's Conv is a true convolution). */
function kernelForm(shape: readonly number[], taps: number, flip: boolean): Parameters<typeof parameter>[3] {
  if (!flip) return { key: 'kernel', shape }
  return {
    key: 'flipped kernel',
    shape,
    fill: (from, to) => {
      for (let start = 0; start < to.length; start += taps) {
        for (let i = 0; i < taps; i++) to[start + i] = from[start + taps - 1 - i]
      }
    },
  }
}

/** Convolutions of all kinds, without the activation. */
export function convolve(emission: Emission, layer: ConvLayer, x: Value, path: string): Value {
  const dimensions = layer.weight.size.length - 2
  if (dimensions < 1) throw malformedWindow(path, `a weight of size (${layer.weight.size.join(', ')})`)
  const stored = [...layer.weight.size].reverse()
  const kernel = stored.slice(2)
  const taps = sizeOf(kernel)
  const depthwise = layer.variant === 'DepthwiseConv'
  // Old depthwise weights are (w, h, multiplier, channels); as grouped ones they are (w, h, 1, multiplier channels).
  const shape = depthwise ? [stored[0] * stored[1], 1, ...kernel] : stored
  const groups = depthwise ? stored[0] : layer.groups
  const weight = parameter(emission, layer.weight, `${path}.weight`,
    kernelForm(shape, taps, layer.variant !== 'CrossCor'))
  const inputs = [x.name, weight,
    ...(layer.bias === undefined ? [] : [parameter(emission, layer.bias, `${path}.bias`, vectorForm(layer.bias))])]
  const strides = perDimension(layer.stride, dimensions, path)
  const dilations = perDimension(layer.dilation, dimensions, path)
  const pads = onnxPads(layer.pad, dimensions, path)
  const transposed = layer.variant === 'ConvTranspose'
  const channels = transposed ? shape[0] : shape[1] * groups
  if (x.shape.length !== dimensions + 1 || x.shape[0] !== channels) {
    throw misfit(path, `A ${layer.variant} layer`, `images with ${channels} channels and ${dimensions} axes`, x)
  }
  const outChannels = transposed ? shape[1] * groups : shape[0]
  if (layer.bias !== undefined && layer.bias.data.length !== outChannels) {
    throw malformedWindow(path, `a bias of ${layer.bias.data.length} elements for ${outChannels} channels`)
  }
  const spans = kernel.map((size, i) => (size - 1) * dilations[i] + 1)
  const attributes = { kernel_shape: kernel, strides, dilations, pads, group: groups }
  if (!transposed) {
    const extents = spans.map((span, i) =>
      slide(emission, x.shape[i + 1] + pads[i] + pads[i + dimensions], span, strides[i], path, x)
    )
    return emit(emission, 'Conv', inputs, [outChannels, ...extents], attributes)
  }
  const outpad = perDimension(layer.outpad, dimensions, path)
  const extents = spans.map((span, i) =>
    (x.shape[i + 1] - 1) * strides[i] + span - pads[i] - pads[i + dimensions] + outpad[i]
  )
  if (extents.some(extent => extent < 1)) throw misfit(path, 'A ConvTranspose layer', 'larger images', x)
  return emit(emission, 'ConvTranspose', inputs, [outChannels, ...extents],
    outpad.some(extra => extra > 0) ? { ...attributes, output_padding: outpad } : attributes)
}

/** `NNlib.pad_circular`: what leaves an image on one side comes in on the other. Widths are (w_lo, w_hi, h_lo, h_hi, ...). */
export function circularPad(emission: Emission, x: Value, widths: readonly number[], path: string): Value {
  let result = x
  for (let d = 0; 2 * d + 1 < widths.length; d++) {
    const axis = x.shape.length - d
    const extent = result.shape[axis - 1]
    const [low, high] = [widths[2 * d], widths[2 * d + 1]]
    if (axis < 2 || !(low <= extent && high <= extent)) {
      throw misfit(path, 'Circular padding', `images of at least ${Math.max(low, high)} positions`, x)
    }
    const { builder } = emission
    const cut = (from: number, to: number): string =>
      builder.node('Slice', [result.name, builder.integers([from]), builder.integers([to]), builder.integers([axis])])
    const parts = [...(low > 0 ? [cut(extent - low, extent)] : []), result.name, ...(high > 0 ? [cut(0, high)] : [])]
    if (parts.length === 1) continue
    result = emit(emission, 'Concat', parts, result.shape.map((size, i) => (i === axis - 1 ? size + low + high : size)),
      { axis })
  }
  return result
}

/** `NNlib.pixel_shuffle`: channels become positions. */
export function pixelShuffle(emission: Emission, x: Value, factor: number, path: string): Value {
  const dimensions = x.shape.length - 1
  const block = factor ** dimensions
  if (dimensions < 1 || factor < 1 || x.shape[0] % block !== 0) {
    throw misfit(path, 'PixelShuffle', `a number of channels that ${block} divides`, x)
  }
  const { builder } = emission
  const channels = x.shape[0] / block
  const spatial = x.shape.slice(1)
  const split = builder.node('Reshape', [x.name,
    builder.integers([-1, channels, ...Array<number>(dimensions).fill(factor), ...spatial])])
  const order = [0, 1, ...spatial.flatMap((_, i) => [2 + dimensions + i, 2 + i])]
  const moved = builder.node('Transpose', [split], { perm: order })
  const shape = [channels, ...spatial.map(extent => extent * factor)]
  return emit(emission, 'Reshape', [moved, builder.integers([-1, ...shape])], shape)
}

/** Nearest-neighbour or linear enlargement; Flux's linear modes keep the corners. */
export function upsample(emission: Emission, x: Value,
  layer: { readonly mode: string, readonly scale: readonly number[] | undefined,
    readonly size: readonly number[] | undefined }, path: string): Value {
  const spatial = x.shape.slice(1)
  const target = layer.size === undefined
    ? spatial.map((extent, i) => extent * perDimension(layer.scale ?? [1], spatial.length, path)[i])
    : perDimension(layer.size, spatial.length, path)
  if (layer.mode === 'nearest') return repeat(emission, x, target, path)
  if (!['bilinear', 'trilinear', 'linear'].includes(layer.mode)) {
    throw malformedWindow(path, `the mode '${layer.mode.slice(0, 40)}', which is not known`)
  }
  let result = x
  spatial.forEach((extent, i) => {
    result = interpolate(emission, result, i + 2, extent, target[i])
  })
  return result
}

function repeat(emission: Emission, x: Value, target: readonly number[], path: string): Value {
  const { builder } = emission
  const spatial = x.shape.slice(1)
  if (target.some((size, i) => size % spatial[i] !== 0)) {
    throw misfit(path, 'Upsample', 'sizes that divide the target', x)
  }
  const spread = builder.node('Reshape', [x.name,
    builder.integers([-1, x.shape[0], ...spatial.flatMap(extent => [extent, 1])])])
  const copies = builder.node('Expand', [spread,
    builder.integers([1, 1, ...target.flatMap((size, i) => [1, size / spatial[i]])])])
  return emit(emission, 'Reshape', [copies, builder.integers([-1, x.shape[0], ...target])], [x.shape[0], ...target])
}

/** Linear interpolation along one axis as a product with a constant matrix. */
function interpolate(emission: Emission, x: Value, axis: number, from: number, to: number): Value {
  if (from === to) return x
  const matrix = new Float64Array(from * to)
  for (let j = 0; j < to; j++) {
    const position = to === 1 ? 0 : (j * (from - 1)) / (to - 1)
    const left = Math.min(Math.floor(position), from - 1)
    matrix[left * to + j] += 1 - (position - left)
    if (left + 1 < from) matrix[(left + 1) * to + j] += position - left
  }
  const { builder } = emission
  const rank = x.shape.length + 1
  const weights = constantArray(emission, { eltype: 'Float64', size: [to, from], data: matrix, identity: matrix })
  const swap = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  const last = axis === rank - 1
  const moved = last ? x.name : builder.node('Transpose', [x.name], { perm: swap })
  const product = builder.node('MatMul', [moved, weights.name])
  const shape = x.shape.map((extent, i) => (i === axis - 1 ? to : extent))
  return { name: last ? product : builder.node('Transpose', [product], { perm: swap }), shape }
}
