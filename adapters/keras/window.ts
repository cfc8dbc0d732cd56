/** @file Windows that slide over images; `same` padding follows TensorFlow. */
import { sizes, text } from './config.js'
import { channelsFirst, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import type { KerasLayer } from './model.js'

/** A window: extents, steps and dilations, one for each axis of positions. */
export interface Window {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
}

/** The window of a convolution. @throws UntrustedInputError when a size is not a positive integer */
export function windowOf({ config }: KerasLayer, dimensions: number): Window {
  return { kernel: sizes(config, 'kernel_size', dimensions), strides: sizes(config, 'strides', dimensions, 1),
    dilations: sizes(config, 'dilation_rate', dimensions, 1) }
}

/** Positions along each axis after sliding a window, and the padding on both sides in ONNX's order. */
export function slide(layer: KerasLayer, x: Value, window: Window): { extents: number[], pads: number[] } {
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

/**
 * The input with channels first, as convolutions take it, and its number of channels.
 * @throws UntrustedInputError for another number of axes
 */
export function images(context: LayerContext, value: Value, dimensions: number): { x: Value, channels: number } {
  if (value.shape.length !== dimensions + 1) {
    throw misfit(context.layer, `takes ${dimensions} axes and channels; it gets ${value.shape.length} axes`)
  }
  return { x: channelsFirst(context, value), channels: value.shape[dimensions] }
}
