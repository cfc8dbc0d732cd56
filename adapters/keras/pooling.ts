/** @file Pooling layers of Keras. */
import { field, flag, sizes } from './config.js'
import { channelsLast, emit, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
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
