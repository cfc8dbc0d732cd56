/** @file Layers of Keras that centre and scale: by trained, by stored and by given numbers. */
import { float64, type Tensor } from '../../core/tensor/tensor.js'
import { field, flag, number } from './config.js'
import { channelsFirst, channelsLast, constant, emit, expectWeights, misfit, parameter,
  type Value } from './emission.js'
import { exampleAxis } from './example-axis.js'
import type { LayerContext } from './layer-context.js'

const ones = (length: number): Tensor => float64([length], new Float64Array(length).fill(1))

const zeros = (length: number): Tensor => float64([length], new Float64Array(length))

/**
 * gamma (x - mean) / sqrt(variance + epsilon) + beta, with the stored statistics of every channel.
 * @throws UntrustedInputError when the arrays do not fit
 */
export function batchNormalization(context: LayerContext, value: Value): Value {
  const { layer } = context
  if (exampleAxis(context, value, 'axis') !== value.shape.length - 1) {
    throw misfit(layer, 'normalises another axis than the channels')
  }
  const x = value.shape.length === 1 ? value : channelsFirst(context, value)
  const channels = x.shape[x.shape.length - 1]
  const scale = flag(layer.config, 'scale', true)
  const center = flag(layer.config, 'center', true)
  const found = [
    ...expectWeights(layer, context.weights,
      Array.from({ length: 2 + Number(scale) + Number(center) }, () => [channels])),
  ]
  const gamma = scale ? parameter(context, layer, 'gamma', found.shift() as Tensor) : constant(context, ones(channels))
  const beta = center ? parameter(context, layer, 'beta', found.shift() as Tensor) : constant(context, zeros(channels))
  const statistics = found.map(each => constant(context, each))
  return emit(context, 'BatchNormalization', [x.name, gamma, beta, ...statistics], x.shape, x.channelsFirst, {
    epsilon: number(layer.config, 'epsilon') ?? 1e-3,
  })
}

/** gamma (x - mean) / sqrt(variance + epsilon) + beta over the last axis. @throws UntrustedInputError for other axes */
export function layerNormalization(context: LayerContext, value: Value): Value {
  const { layer } = context
  const x = channelsLast(context, value)
  if (exampleAxis(context, x, 'axis') !== x.shape.length - 1) {
    throw misfit(layer, 'normalises other axes than the last one')
  }
  const features = x.shape[x.shape.length - 1]
  const scale = flag(layer.config, 'scale', true)
  const center = flag(layer.config, 'center', true)
  const found = [
    ...expectWeights(layer, context.weights, Array.from({ length: Number(scale) + Number(center) }, () => [features])),
  ]
  const gamma = scale ? parameter(context, layer, 'gamma', found.shift() as Tensor) : constant(context, ones(features))
  const beta = center ? parameter(context, layer, 'beta', found.shift() as Tensor) : constant(context, zeros(features))
  return emit(context, 'LayerNormalization', [x.name, gamma, beta], x.shape, false, { axis: -1,
    epsilon: number(layer.config, 'epsilon') ?? 1e-3 })
}

/** x times a scale plus an offset: numbers, or lists of one number a channel. */
export function rescaling(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  const operand = (key: string, otherwise: number): string => {
    const found = field(context.layer.config, key) ?? otherwise
    if (typeof found === 'number') return context.builder.scalar(found)
    if (Array.isArray(found) && found.length === x.shape[x.shape.length - 1] &&
      found.every(each => typeof each === 'number')) {
      return constant(context, float64([found.length], found as number[]))
    }
    throw misfit(context.layer, `has a ${key} that is neither a number nor a list of one for each channel`)
  }
  const scaled = emit(context, 'Mul', [x.name, operand('scale', 1)], x.shape, false)
  return emit(context, 'Add', [scaled.name, operand('offset', 0)], x.shape, false)
}

/** (x - mean) / max(sqrt(variance), 1e-7) with statistics taken from the training data. */
export function normalization(context: LayerContext, value: Value): Value {
  const { layer } = context
  const x = channelsLast(context, value)
  const features = x.shape[x.shape.length - 1]
  const [mean, variance] = context.weights ?? []
  if (mean === undefined || variance === undefined) {
    throw misfit(layer, 'needs its mean and variance as arrays in the file')
  }
  if (mean.data.length !== variance.data.length || ![1, features].includes(mean.data.length)) {
    throw misfit(layer, `has statistics of ${mean.data.length} elements for ${features} features`)
  }
  const invert = flag(layer.config, 'invert', false)
  if (invert) throw misfit(layer, 'inverts a normalisation, which is not supported')
  const centred = emit(context, 'Sub', [x.name, constant(context, float64([mean.data.length], Array.from(mean.data)))],
    x.shape, false)
  return emit(context, 'Div', [centred.name,
    constant(context,
      float64([variance.data.length], Array.from(variance.data, each => Math.max(Math.sqrt(each), 1e-7))))], x.shape,
    false)
}
