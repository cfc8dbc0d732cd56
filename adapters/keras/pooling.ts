/** @file Pooling layers of Keras. */
import { field, flag, sizes } from './config.js'
import { channelsLast, emit, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { real } from './masks.js'
import { images, slide } from './window.js'

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
  if (op === 'AveragePool' && pads.some(pad => pad > 0)) {
    context.builder.notes.push(`The layer '${context.layer.path}' averages at the borders without the padding, as ` +
      "TensorFlow's and JAX' backends of Keras do; torch's backend repeats the border instead.")
  }
  return emit(context, op, [x.name], [...extents, channels], true,
    op === 'MaxPool' ? attributes : { ...attributes, count_include_pad: 0 })
}

/** The mean or maximum over all positions; means of masked sequences are of the steps that count. */
export function globalPool(context: LayerContext, value: Value, op: 'ReduceMean' | 'ReduceMax'): Value {
  const { layer, builder } = context
  const x = channelsLast(context, value)
  const dimensions = x.shape.length - 1
  if (dimensions < 1) throw misfit(layer, 'takes images or sequences')
  const keep = flag(layer.config, 'keepdims', false)
  const channels = x.shape[dimensions]
  const axes = builder.integers(Array.from({ length: dimensions }, (_, i) => i + 1))
  const shape = keep ? [...Array<number>(dimensions).fill(1), channels] : [channels]
  const keepdims = keep ? 1 : 0
  if (x.mask === undefined || layer.className !== 'GlobalAveragePooling1D') {
    return emit(context, op, [x.name, axes], shape, false, { keepdims })
  }
  const counts = builder.node('Unsqueeze', [real(context, x.mask.name), builder.integers([2])])
  const sum = builder.node('ReduceSum', [builder.node('Mul', [x.name, counts]), axes], { keepdims })
  return emit(context, 'Div', [sum, builder.node('ReduceSum', [counts, axes], { keepdims })], shape, false)
}

/**
 * Max or mean over as many windows as were asked for, along each axis: window i of n reaches from floor(i extent / n)
 * to ceil((i + 1) extent / n).
 */
export function adaptivePool(context: LayerContext, value: Value, op: 'ReduceMean' | 'ReduceMax',
  dimensions: number): Value {
  const x = channelsLast(context, value)
  if (x.shape.length !== dimensions + 1) throw misfit(context.layer, `takes ${dimensions} axes and channels`)
  const wanted = sizes(context.layer.config, 'output_size', dimensions)
  return wanted.reduce((current, count, axis) => adaptiveAxis(context, current, op, axis, count), x)
}

function adaptiveAxis(context: LayerContext, x: Value, op: string, axis: number, count: number): Value {
  const { builder } = context
  const extent = x.shape[axis]
  if (count > extent) throw misfit(context.layer, `wants ${count} windows along an axis of ${extent}`)
  const at = builder.integers([axis + 1])
  const windows = Array.from({ length: count }, (_, i) => {
    const part = builder.node('Slice', [x.name, builder.integers([Math.floor(i * extent / count)]),
      builder.integers([Math.ceil((i + 1) * extent / count)]), at])
    return builder.node(op, [part, at], { keepdims: 1 })
  })
  return emit(context, 'Concat', windows, x.shape.map((each, i) => (i === axis ? count : each)), false, {
    axis: axis + 1,
  })
}
