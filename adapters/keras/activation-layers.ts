/** @file Activation functions that are layers of their own in Keras. */
import { formatShape, sizeOf } from '../../core/tensor/tensor.js'
import { same } from './activations.js'
import { exampleAxes, withAxesLast } from './axes.js'
import { type Config, number } from './config.js'
import { channelsLast, type Emission, emit, misfit, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** max(x, 0) + alpha min(x, 0), the slopes alpha trained. @throws UntrustedInputError when they do not fit the input */
export function prelu(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  const [alpha] = context.weights ?? []
  const fits = alpha !== undefined && alpha.shape.length === x.shape.length &&
    alpha.shape.every((extent, i) => extent === 1 || extent === x.shape[i])
  if (!fits) throw misfit(context.layer, `needs slopes that fit ${formatShape(x.shape)}`)
  return emit(context, 'PRelu', [x.name, parameter(context, context.layer, 'alpha', alpha)], x.shape, false)
}

/** Softmax along the axes of the configuration, which are taken together. */
export function softmaxLayer(context: LayerContext, value: Value): Value {
  const { builder } = context
  if (value.mask !== undefined) throw misfit(context.layer, 'gets masked values, which is not supported')
  const axes = exampleAxes(context, value)
  return withAxesLast(context, value, axes, x => {
    if (axes.length === 1) return emit(context, 'Softmax', [x.name], x.shape, false, { axis: -1 })
    const kept = x.shape.slice(0, -axes.length)
    const flat = builder.node('Reshape', [x.name, builder.integers([-1, ...kept, sizeOf(x.shape.slice(-axes.length))])])
    return emit(context, 'Reshape', [builder.node('Softmax', [flat], { axis: -1 }), builder.integers([-1, ...x.shape])],
      x.shape, false)
  })
}

/** The layer ReLU: max(x, 0) with an upper bound, a slope below a threshold. */
export function reluLayer(emission: Emission, config: Config, x: Value): Value {
  const slope = number(config, 'negative_slope') ?? 0
  const threshold = number(config, 'threshold') ?? 0
  const highest = number(config, 'max_value')
  const { builder } = emission
  // x above the threshold, slope (x - threshold) below it.
  const bent = threshold === 0
    ? (slope === 0
      ? same(emission, 'Relu', x)
      : emit(emission, 'LeakyRelu', [x.name], x.shape, x.channelsFirst, { alpha: slope }))
    : same(emission, 'Where', { ...x, name: builder.node('Less', [x.name, builder.scalar(threshold)]) },
      builder.node('Mul', [builder.node('Sub', [x.name, builder.scalar(threshold)]), builder.scalar(slope)]), x.name)
  return highest === undefined ? bent : same(emission, 'Min', bent, builder.scalar(highest))
}
