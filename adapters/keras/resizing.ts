/** @file Layers of Keras that give an image more positions. */
import { field, sizes, text } from './config.js'
import { channelsLast, emit, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { images } from './window.js'

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
