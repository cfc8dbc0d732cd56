/** @file Layers of Keras that centre and scale: by trained, by stored and by given numbers. */
import { float64, sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { exampleAxes, withAxesLast } from './axes.js'
import { field, flag, number } from './config.js'
import { channelsFirst, channelsLast, constant, emit, expectWeights, misfit, parameter,
  type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { unitLength } from './unit-length.js'

const filled = (length: number, value: number): Tensor => float64([length], new Float64Array(length).fill(value))

const epsilonOf = ({ layer }: LayerContext, otherwise = 1e-3): number => number(layer.config, 'epsilon') ?? otherwise

/** The names of gamma and beta, ones and zeros where the layer has none, and the arrays that follow. */
function scaleAndShift(context: LayerContext, shape: readonly number[],
  more: number): { gamma: string, beta: string, rest: readonly Tensor[] } {
  const { layer } = context
  const scale = flag(layer.config, 'scale', true)
  const center = flag(layer.config, 'center', true)
  const found = [
    ...expectWeights(layer, context.weights,
      Array.from({ length: more + Number(scale) + Number(center) }, () => shape)),
  ]
  const length = sizeOf(shape)
  const flat = (value: Tensor): Tensor => ({ ...value, shape: [length] })
  const gamma = scale
    ? parameter(context, layer, 'gamma', flat(found.shift() as Tensor))
    : constant(context, filled(length, 1))
  const beta = center
    ? parameter(context, layer, 'beta', flat(found.shift() as Tensor))
    : constant(context, filled(length, 0))
  return { gamma, beta, rest: found }
}

/**
 * gamma (x - mean) / sqrt(variance + epsilon) + beta, with the stored statistics of every channel.
 * @throws UntrustedInputError when the arrays do not fit
 */
export function batchNormalization(context: LayerContext, value: Value): Value {
  const axes = exampleAxes(context, value)
  if (axes.length !== 1) throw misfit(context.layer, 'normalises several axes, which is not supported')
  const [axis] = axes
  if (axis !== value.shape.length - 1) return withAxesLast(context, value, axes, x => normalise(context, x))
  return normalise(context, value)
}

function normalise(context: LayerContext, value: Value): Value {
  const x = value.shape.length === 1 ? value : channelsFirst(context, value)
  const { gamma, beta, rest } = scaleAndShift(context, [x.shape[x.shape.length - 1]], 2)
  const statistics = rest.map(each => constant(context, each))
  return emit(context, 'BatchNormalization', [x.name, gamma, beta, ...statistics], x.shape, x.channelsFirst, {
    epsilon: epsilonOf(context),
  })
}

/** gamma (x - mean) / sqrt(variance + epsilon) + beta over the axes of each example. */
export function layerNormalization(context: LayerContext, value: Value): Value {
  const axes = exampleAxes(context, value)
  const extents = axes.map(axis => value.shape[axis])
  if (flag(context.layer.config, 'rms_scaling', false)) {
    throw misfit(context.layer, 'has rms_scaling, which is not supported: use RMSNormalization')
  }
  const { gamma, beta } = scaleAndShift(context, extents, 0)
  return withAxesLast(context, value, axes,
    x =>
      overLast(context, x, axes.length, flat =>
        context.builder.node('LayerNormalization', [flat, gamma, beta], { axis: -1, epsilon: epsilonOf(context) })))
}

/** x / sqrt(mean x^2 + epsilon) times a trained scale, over the axes of each example. */
export function rmsNormalization(context: LayerContext, value: Value): Value {
  const { layer, builder } = context
  const axes = exampleAxes(context, value)
  const extents = axes.map(axis => value.shape[axis])
  const [scale] = expectWeights(layer, context.weights, [extents])
  const gamma = parameter(context, layer, 'scale', { ...scale, shape: [sizeOf(extents)] })
  return withAxesLast(context, value, axes, x =>
    overLast(context, x, axes.length, flat => {
      const squares = builder.node('ReduceMean', [builder.node('Mul', [flat, flat]), builder.integers([-1])], {
        keepdims: 1,
      })
      const length = builder.node('Sqrt', [builder.node('Add', [squares, builder.scalar(epsilonOf(context, 1e-6))])])
      return builder.node('Mul', [builder.node('Div', [flat, length]), gamma])
    }))
}

/** Applies `write` to a value whose last `count` axes are one. */
function overLast({ builder }: LayerContext, x: Value, count: number, write: (name: string) => string): Value {
  if (count === 1) return { ...x, name: write(x.name) }
  const shape = [...x.shape.slice(0, -count), sizeOf(x.shape.slice(-count))]
  const flat = builder.node('Reshape', [x.name, builder.integers([-1, ...shape])])
  return { ...x, name: builder.node('Reshape', [write(flat), builder.integers([-1, ...x.shape])]) }
}

/** gamma (x - mean) / sqrt(variance + epsilon) + beta over groups of channels (Wu and He, 2018). */
export function groupNormalization(context: LayerContext, value: Value): Value {
  const { layer, builder } = context
  const [axis] = exampleAxes(context, value)
  const channels = value.shape[axis]
  const given = number(layer.config, 'groups') ?? 32
  const groups = given === -1 ? channels : given
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
    throw misfit(layer, `has ${groups} groups for ${channels} channels`)
  }
  const { gamma, beta } = scaleAndShift(context, [channels], 0)
  return withAxesLast(context, value, [axis], last => {
    const x = channelsFirst(context, last)
    const positions = sizeOf(x.shape.slice(0, -1))
    const grouped = builder.node('Reshape', [x.name, builder.integers([-1, groups, channels / groups * positions])])
    const centred = centredAndScaled(context, grouped)
    const back = builder.node('Reshape', [centred, builder.integers([-1, channels, positions])])
    const column = (name: string): string => builder.node('Unsqueeze', [name, builder.integers([1])])
    const result = builder.node('Add', [builder.node('Mul', [back, column(gamma)]), column(beta)])
    const shape = x.channelsFirst ? [channels, ...x.shape.slice(0, -1)] : x.shape
    return { ...x, name: builder.node('Reshape', [result, builder.integers([-1, ...shape])]) }
  })
}

/** (x - mean) / sqrt(variance + epsilon) over the last axis. */
function centredAndScaled(context: LayerContext, name: string): string {
  const { builder } = context
  const mean = (of: string): string => builder.node('ReduceMean', [of, builder.integers([-1])], { keepdims: 1 })
  const centred = builder.node('Sub', [name, mean(name)])
  const variance = mean(builder.node('Mul', [centred, centred]))
  const deviation = builder.node('Sqrt', [builder.node('Add', [variance, builder.scalar(epsilonOf(context))])])
  return builder.node('Div', [centred, deviation])
}

/** Every example, or every vector along the axes, scaled to length one. */
export function unitNormalization(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  return unitLength(context, x, exampleAxes(context, x).map(axis => axis + 1))
}

/** x times a scale plus an offset: numbers, or lists of one number a channel. */
export function rescaling(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  const operand = (key: string, otherwise: number): string => {
    const found = field(context.layer.config, key) ?? otherwise
    if (typeof found === 'number') return context.builder.scalar(found)
    const list = numbersIn(found)
    if (list !== undefined && (list.length === x.shape[x.shape.length - 1] || list.length === 1)) {
      return constant(context, float64([list.length], list))
    }
    throw misfit(context.layer, `has a ${key} that is neither a number nor a list of one for each channel`)
  }
  const scaled = emit(context, 'Mul', [x.name, operand('scale', 1)], x.shape, false)
  return emit(context, 'Add', [scaled.name, operand('offset', 0)], x.shape, false)
}

/** All numbers in a list, or in lists within it. */
function numbersIn(value: unknown): number[] | undefined {
  if (typeof value === 'number') return [value]
  if (!Array.isArray(value) || value.length > 1e6) return undefined
  const lists = value.map(numbersIn)
  return lists.every(list => list !== undefined) ? lists.flat() : undefined
}

/**
 * (x - mean) / max(sqrt(variance), 1e-7), or back with `invert`; statistics of the training data or given, one for each
 * place along the axes.
 */
export function normalization(context: LayerContext, value: Value): Value {
  const { layer } = context
  const x = channelsLast(context, value)
  const axes = field(layer.config, 'axis') === null ? [] : exampleAxes(context, x)
  const [mean, variance] = ['mean', 'variance'].map((key, i) =>
    numbersIn(field(layer.config, key) ?? undefined) ?? (context.weights?.[i] && Array.from(context.weights[i].data))
  )
  if (mean === undefined || variance === undefined) {
    throw misfit(layer, 'needs its mean and variance as arrays in the file')
  }
  const kept = x.shape.map((extent, axis) => (axes.includes(axis) ? extent : 1))
  if (mean.length !== variance.length || ![1, sizeOf(kept)].includes(mean.length)) {
    throw misfit(layer, `has statistics of ${mean.length} elements for ${sizeOf(kept)} features`)
  }
  const shape = mean.length === 1 ? [1] : kept
  const shift = constant(context, float64(shape, mean))
  const deviation = constant(context, float64(shape, variance.map(each => Math.max(Math.sqrt(each), 1e-7))))
  if (flag(layer.config, 'invert', false)) {
    const spread = emit(context, 'Mul', [x.name, deviation], x.shape, false)
    return emit(context, 'Add', [spread.name, shift], x.shape, false)
  }
  const centred = emit(context, 'Sub', [x.name, shift], x.shape, false)
  return emit(context, 'Div', [centred.name, deviation], x.shape, false)
}
