/** @file Layers of Keras that move the elements of an example to other places or under another shape. */
import { formatShape, sizeOf } from '../../core/tensor/tensor.js'
import { field, sizes } from './config.js'
import { channelsLast, emit, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/**
 * All elements of an example in one axis, in Keras' order: with channels first the next Dense layer would get them in
 * another.
 */
export function flatten(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  return x.shape.length === 1 ? x : emit(context, 'Flatten', [x.name], [sizeOf(x.shape)], false, { axis: 1 })
}

/** The same elements of each example, in Keras' order, under another shape. */
function reshape(context: LayerContext, value: Value, shape: readonly number[]): Value {
  const x = channelsLast(context, value)
  return emit(context, 'Reshape', [x.name, context.builder.integers([-1, ...shape])], shape, false)
}

/** The shape `target_shape`, where one extent may be -1. @throws UntrustedInputError when the elements do not fit it */
export function reshapeLayer(context: LayerContext, x: Value): Value {
  const target = field(context.layer.config, 'target_shape')
  if (!Array.isArray(target) || target.length > 8 || !target.every(each => Number.isInteger(each) && each >= -1)) {
    throw misfit(context.layer, 'needs a list of integers as target_shape')
  }
  const known = (target as number[]).filter(each => each !== -1).reduce((a, b) => a * b, 1)
  const free = target.length - target.filter(each => each !== -1).length
  const total = sizeOf(x.shape)
  if (free > 1 || (free === 0 ? known !== total : known === 0 || total % known !== 0)) {
    throw misfit(context.layer, `cannot give ${formatShape(x.shape)} the shape ${target.join(' x ')}`)
  }
  return reshape(context, x, (target as number[]).map(each => (each === -1 ? total / known : each)))
}

/** The axes in the order `dims`, which counts from 1. */
export function permute(context: LayerContext, value: Value): Value {
  const dims = field(context.layer.config, 'dims')
  const x = channelsLast(context, value)
  if (!Array.isArray(dims) ||
    [...dims as number[]].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i + 1).join()) {
    throw misfit(context.layer, 'needs a permutation of its axes as dims')
  }
  return emit(context, 'Transpose', [x.name], (dims as number[]).map(axis => x.shape[axis - 1]), false, {
    perm: [0, ...dims as number[]],
  })
}

/** A vector repeated: features give times x features. */
export function repeatVector(context: LayerContext, x: Value): Value {
  const [times] = sizes(context.layer.config, 'n', 1)
  if (x.shape.length !== 1) throw misfit(context.layer, 'takes vectors')
  const row = context.builder.node('Reshape', [x.name, context.builder.integers([-1, 1, x.shape[0]])])
  return emit(context, 'Expand', [row, context.builder.integers([1, times, 1])], [times, x.shape[0]], false)
}
