/**
 * @file Convolutions, pools and padding of images.
 *
 * Flux lists widths before heights; the graph's axes are reversed (N x C x H x W), and so is every list of sizes here.
 */
import { sizeOf } from '../../../core/tensor/tensor.js'
import type { ConvLayer } from '../layers/flux-layer.js'
import { type Emission, emit, misfit, parameter, type Value, vectorForm } from './emission.js'
import { malformedWindow, onnxPads, perDimension, slide } from './windows.js'

/**
 * The weight of a convolution in ONNX's layout: the bytes of the file, each kernel turned round (Flux's Conv is a true
 * convolution). Not turned, the shapes fit as well, and the outputs are wrong without an error.
 */
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
