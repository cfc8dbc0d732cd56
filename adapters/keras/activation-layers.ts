/** @file Activation functions that are layers of their own in Keras. */
import { formatShape } from '../../core/tensor/tensor.js'
import { same } from './activations.js'
import { type Config, number } from './config.js'
import { channelsLast, type Emission, emit, misfit, parameter, type Value } from './emission.js'
import { exampleAxis } from './example-axis.js'
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

/** Softmax along the axis of the configuration. */
export function softmaxLayer(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  return emit(context, 'Softmax', [x.name], x.shape, false, { axis: exampleAxis(context, x, 'axis') + 1 })
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
