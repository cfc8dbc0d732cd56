/** @file Layers of Keras that turn whole numbers into vectors, and numbers into whole ones. */
import { float64 } from '../../core/tensor/tensor.js'
import { field, number, text } from './config.js'
import { cast, channelsLast, constant, emit, misfit, type Value } from './emission.js'
import { type LayerContext, optionValue } from './layer-context.js'
import { real } from './masks.js'

/** Categories as vectors of zeros and ones, or of counts. */
export function categoryEncoding(context: LayerContext, x: Value): Value {
  const { layer } = context
  const depth = number(layer.config, 'num_tokens') ?? 0
  const mode = text(layer.config, 'output_mode') ?? 'multi_hot'
  if (!Number.isInteger(depth) || depth < 1 || depth > 1e6) throw misfit(layer, 'needs a number of tokens')
  if (optionValue(context, 'count_weights') !== undefined) {
    throw misfit(layer, 'is given count_weights, which is not supported')
  }
  return encoded(context, x, depth, mode, cast(context, x.name, 'int64'))
}

function encoded(context: LayerContext, x: Value, depth: number, mode: string, tokens: string): Value {
  const { layer, builder } = context
  const offOn = constant(context, float64([2], [0, 1]))
  const count = builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(depth) })
  const vectors = builder.node('OneHot', [tokens, count, offOn], { axis: -1 })
  const { shape } = x
  switch (mode) {
    case 'one_hot':
      // An axis of extent one at the end is taken for the place of the category.
      return shape[shape.length - 1] === 1
        ? emit(context, 'Squeeze', [vectors, builder.integers([shape.length])], [...shape.slice(0, -1), depth], false)
        : { name: vectors, shape: [...shape, depth], channelsFirst: false }
    case 'multi_hot':
    case 'count':
      if (shape.length !== 1) throw misfit(layer, 'takes vectors of categories')
      return emit(context, mode === 'count' ? 'ReduceSum' : 'ReduceMax', [vectors, builder.integers([1])], [depth],
        false, { keepdims: 0 })
    default:
      throw misfit(layer, `has the output_mode '${mode.slice(0, 40)}', which is not supported`)
  }
}

/** The number of the interval in which each element lies. */
export function discretization(context: LayerContext, value: Value): Value {
  const { layer, builder } = context
  const x = channelsLast(context, value)
  const bounds = field(layer.config, 'bin_boundaries')
  const mode = text(layer.config, 'output_mode') ?? 'int'
  if (!Array.isArray(bounds) || bounds.length < 1 || !bounds.every(each => typeof each === 'number')) {
    throw misfit(layer, 'needs its bin_boundaries in the file')
  }
  const wide = builder.node('Unsqueeze', [x.name, builder.integers([-1])])
  const above = builder.node('GreaterOrEqual', [wide, constant(context, float64([bounds.length], bounds as number[]))])
  const sum = builder.node('ReduceSum', [real(context, above), builder.integers([-1])], { keepdims: 0 })
  const tokens = cast(context, sum, 'int64')
  return mode === 'int'
    ? { name: tokens, shape: x.shape, channelsFirst: false, type: 'integer' }
    : encoded(context, x, bounds.length + 1, mode, tokens)
}
