/** @file Layers of Keras that give an image other extents. */
import { field, flag, number, sizes, text } from './config.js'
import { channelsLast, emit, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { images } from './window.js'

/** Low and high for each axis: one number, one for each axis, or pairs. */
function margins(context: LayerContext, key: string, dimensions: number,
  otherwise: number): { low: number[], high: number[] } {
  const given = field(context.layer.config, key) ?? otherwise
  const list: unknown[] = Array.isArray(given) ? given : Array<unknown>(dimensions).fill(given)
  // A pair for the only axis of a sequence is low and high.
  const pairs = (dimensions === 1 && list.length === 2 ? [list] : list).map(
    each => (Array.isArray(each) ? each : [each, each]),
  )
  const numbers: unknown[] = pairs.flat()
  if (pairs.length !== dimensions || pairs.some(pair => pair.length !== 2) ||
    !numbers.every(each => Number.isInteger(each) && (each as number) >= 0)) {
    throw misfit(context.layer, `needs non-negative integers as ${key}`)
  }
  return { low: pairs.map(pair => pair[0] as number), high: pairs.map(pair => pair[1] as number) }
}

/** Zeros around the positions. */
export function zeroPadding(context: LayerContext, value: Value, dimensions: number): Value {
  const { x, channels } = images(context, value, dimensions)
  const { low, high } = margins(context, 'padding', dimensions, 1)
  const extents = low.map((each, i) => value.shape[i] + each + high[i])
  return emit(context, 'Pad', [x.name, context.builder.integers([0, 0, ...low, 0, 0, ...high]),
    context.builder.scalar(0)], [...extents, channels], true, { mode: 'constant' })
}

/** Positions at the borders left out. */
export function cropping(context: LayerContext, value: Value, dimensions: number): Value {
  const x = channelsLast(context, value)
  if (x.shape.length !== dimensions + 1) throw misfit(context.layer, `takes ${dimensions} axes and channels`)
  const { low, high } = margins(context, 'cropping', dimensions, 0)
  return cut(context, x, low, low.map((each, i) => x.shape[i] - each - high[i]))
}

/** `extents` positions from `low` on. */
function cut(context: LayerContext, x: Value, low: readonly number[], extents: readonly number[]): Value {
  const { builder } = context
  if (extents.some(each => each < 1)) throw misfit(context.layer, 'leaves no position')
  return emit(context, 'Slice', [x.name, builder.integers(low),
    builder.integers(low.map((each, i) => each + extents[i])), builder.integers(low.map((_, i) => i + 1))], [...extents,
    ...x.shape.slice(low.length)], false)
}

/** The middle of an image; layers that crop at random do this when they predict. */
export function centerCrop(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  const wanted = ['height', 'width'].map(key => number(context.layer.config, key) ?? 0)
  if (x.shape.length !== 3 || wanted.some((each, i) => each < 1 || each > x.shape[i])) {
    throw misfit(context.layer, `cannot cut ${wanted.join(' x ')} from an image of ${x.shape.join(' x ')}`)
  }
  if (context.layer.className === 'RandomCrop' && wanted.some((each, i) => each !== x.shape[i])) {
    throw misfit(context.layer, 'resizes what it predicts for, which is not supported: crop the images beforehand')
  }
  return cut(context, x, wanted.map((each, i) => Math.floor((x.shape[i] - each) / 2)), wanted)
}

/** Every position repeated, or positions interpolated. */
export function upsampling(context: LayerContext, value: Value, dimensions: number): Value {
  const { config } = context.layer
  const factors = sizes(config, 'size', dimensions, 2)
  const { x } = images(context, value, dimensions)
  return resized(context, x, factors.map((factor, i) => x.shape[i] * factor))
}

/** Images of the extents `height` x `width`. */
export function resizing(context: LayerContext, value: Value): Value {
  const { config } = context.layer
  for (const option of ['crop_to_aspect_ratio', 'pad_to_aspect_ratio', 'antialias']) {
    if (flag(config, option, false)) throw misfit(context.layer, `has ${option}, which is not supported`)
  }
  const { x } = images(context, value, 2)
  return resized(context, x, ['height', 'width'].map(key => number(config, key) ?? 0))
}

/** Interpolation as all of Keras' backends do it; `bicubic` and `lanczos` differ from one to the next. */
function resized(context: LayerContext, x: Value, extents: readonly number[]): Value {
  const { builder, layer } = context
  const mode = text(layer.config, 'interpolation') ?? (layer.className === 'Resizing' ? 'bilinear' : 'nearest')
  if (!['nearest', 'bilinear'].includes(mode)) {
    throw misfit(layer, `interpolates by '${mode.slice(0, 40)}', which is not supported; nearest and bilinear are`)
  }
  const shape = [...extents, x.shape[extents.length]]
  if (shape.some(each => !Number.isInteger(each) || each < 1)) throw misfit(layer, 'needs positive extents')
  return emit(context, 'Resize', [x.name, '', '', builder.integers(extents)], shape, x.channelsFirst, {
    axes: extents.map((_, i) => i + 2),
    coordinate_transformation_mode: 'half_pixel',
    mode: mode === 'nearest' ? 'nearest' : 'linear',
    nearest_mode: 'round_prefer_ceil',
  })
}
