/** @file The layers of Keras as graph nodes, with Keras' meaning of padding and of the order of axes. */
import { GraphError } from '../../core/errors/errors.js'
import { float64, formatShape, sizeOf, type Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName, reluLayer } from './activations.js'
import { field, flag, isConfig, type KerasLayer, number, sizes, text } from './config.js'
import { channelsFirst, channelsLast, constant, type Emission, emit, expectWeights, misfit, parameter,
  type Value } from './emission.js'
import { convolution, globalPool, pooling, separableConvolution, transposedConvolution, upsampling,
  zeroPadding } from './images.js'
import { recurrent } from './recurrent.js'

/** What a layer is written with. */
export interface LayerContext extends Emission {
  readonly layer: KerasLayer
  readonly weights: readonly Tensor[] | undefined
  readonly inputs: readonly Value[]
  /** Whether the file is of Keras 2. */
  readonly keras2: boolean
}

type Writer = (context: LayerContext, x: Value) => Value

const identity: Writer = (_, x) => x
const activation = (name: string): Writer => (context, x) => activate(context, name, x, context.layer, context.keras2)
const merge = (op: string): Writer => context => combine(context, op)

const WRITERS: Readonly<Record<string, Writer>> = {
  InputLayer: identity,
  Dropout: identity,
  SpatialDropout1D: identity,
  SpatialDropout2D: identity,
  SpatialDropout3D: identity,
  AlphaDropout: identity,
  GaussianNoise: identity,
  GaussianDropout: identity,
  ActivityRegularization: identity,
  Identity: identity,
  Masking: identity,
  Dense: dense,
  Conv1D: (context, x) => convolution(context, x, 1),
  Conv2D: (context, x) => convolution(context, x, 2),
  DepthwiseConv1D: (context, x) => convolution(context, x, 1, true),
  DepthwiseConv2D: (context, x) => convolution(context, x, 2, true),
  SeparableConv1D: (context, x) => separableConvolution(context, x, 1),
  SeparableConv2D: (context, x) => separableConvolution(context, x, 2),
  Conv1DTranspose: (context, x) => transposedConvolution(context, x, 1),
  Conv2DTranspose: (context, x) => transposedConvolution(context, x, 2),
  MaxPooling1D: (context, x) => pooling(context, x, 'MaxPool', 1),
  MaxPooling2D: (context, x) => pooling(context, x, 'MaxPool', 2),
  AveragePooling1D: (context, x) => pooling(context, x, 'AveragePool', 1),
  AveragePooling2D: (context, x) => pooling(context, x, 'AveragePool', 2),
  GlobalMaxPooling1D: (context, x) => globalPool(context, x, 'ReduceMax'),
  GlobalMaxPooling2D: (context, x) => globalPool(context, x, 'ReduceMax'),
  GlobalAveragePooling1D: (context, x) => globalPool(context, x, 'ReduceMean'),
  GlobalAveragePooling2D: (context, x) => globalPool(context, x, 'ReduceMean'),
  ZeroPadding1D: (context, x) => zeroPadding(context, x, 1),
  ZeroPadding2D: (context, x) => zeroPadding(context, x, 2),
  UpSampling1D: (context, x) => upsampling(context, x, 1),
  UpSampling2D: (context, x) => upsampling(context, x, 2),
  Flatten: (context, x) => flatten(context, x),
  Reshape: reshapeLayer,
  Permute: permute,
  RepeatVector: repeatVector,
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  Rescaling: rescaling,
  Normalization: normalization,
  Activation: (context, x) => activate(context, activationName(context.layer), x, context.layer, context.keras2),
  ReLU: (context, x) => reluLayer(context, context.layer.config, x),
  LeakyReLU: (context, x) =>
    emit(context, 'LeakyRelu', [x.name], x.shape, x.channelsFirst, {
      alpha: number(context.layer.config, 'negative_slope') ?? number(context.layer.config, 'alpha') ?? 0.3,
    }),
  ELU: (context, x) =>
    emit(context, 'Elu', [x.name], x.shape, x.channelsFirst, { alpha: number(context.layer.config, 'alpha') ?? 1 }),
  PReLU: prelu,
  Softmax: softmaxLayer,
  Swish: activation('swish'),
  Embedding: embedding,
  Add: merge('Add'),
  Subtract: merge('Sub'),
  Multiply: merge('Mul'),
  Maximum: merge('Max'),
  Minimum: merge('Min'),
  Average: average,
  Concatenate: concatenate,
  LSTM: recurrent,
  GRU: recurrent,
  SimpleRNN: recurrent,
  TimeDistributed: timeDistributed,
}

/** The classes of layers that can be read. */
export const SUPPORTED_CLASSES: readonly string[] = Object.keys(WRITERS)

/**
 * Appends the nodes of a layer.
 * @throws GraphError UNSUPPORTED_OPERATOR for a class that is not known; UntrustedInputError when weights and configuration disagree
 */
export function writeLayer(context: LayerContext): Value {
  const { layer, inputs } = context
  if (!Object.hasOwn(WRITERS, layer.className)) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${layer.name.slice(0, 100)}' is a ${
        layer.className.slice(0, 100)
      }, which cannot be imported. Known are ${
        SUPPORTED_CLASSES.join(', ')
      }. Export the network to ONNX (tf2onnx) for others.`, { layer: layer.name, class: layer.className.slice(0, 100) })
  }
  const [x] = inputs
  if (x === undefined) throw misfit(layer, 'has no input')
  if (text(layer.config, 'data_format') === 'channels_first') {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${layer.name}' has channels first; only channels_last is supported. Export the network to ONNX instead.`,
      { layer: layer.name })
  }
  return WRITERS[layer.className](context, x)
}

/** x W + b on the last axis; the kernel is stored in x out. */
function dense(context: LayerContext, value: Value): Value {
  const { layer } = context
  const x = channelsLast(context, value)
  const inputs = x.shape[x.shape.length - 1]
  const useBias = flag(layer.config, 'use_bias', true)
  const [kernel, bias] = expectWeights(layer, context.weights,
    useBias ? [[inputs, undefined], [undefined]] : [[inputs, undefined]])
  const outputs = kernel.shape[1]
  if (bias !== undefined && bias.shape[0] !== outputs) {
    throw misfit(layer, `has a bias of ${bias.shape[0]} elements for ${outputs} units`)
  }
  const shape = [...x.shape.slice(0, -1), outputs]
  const weight = parameter(context, layer, 'kernel', kernel, true)
  const shift = bias === undefined ? [] : [parameter(context, layer, 'bias', bias)]
  let result: Value
  if (x.shape.length === 1) result = emit(context, 'Gemm', [x.name, weight, ...shift], shape, false)
  else {
    result = emit(context, 'MatMul', [x.name, weight], shape, false)
    if (shift.length > 0) result = emit(context, 'Add', [result.name, ...shift], shape, false)
  }
  return activate(context, activationName(layer), result, layer, context.keras2)
}

function flatten(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  return x.shape.length === 1 ? x : emit(context, 'Flatten', [x.name], [sizeOf(x.shape)], false, { axis: 1 })
}

/** The same elements of each example, in Keras' order, under another shape. */
function reshape(context: LayerContext, value: Value, shape: readonly number[]): Value {
  const x = channelsLast(context, value)
  return emit(context, 'Reshape', [x.name, context.builder.integers([-1, ...shape])], shape, false)
}

function reshapeLayer(context: LayerContext, x: Value): Value {
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

function permute(context: LayerContext, value: Value): Value {
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

function repeatVector(context: LayerContext, x: Value): Value {
  const [times] = sizes(context.layer.config, 'n', 1)
  if (x.shape.length !== 1) throw misfit(context.layer, 'takes vectors')
  const row = context.builder.node('Reshape', [x.name, context.builder.integers([-1, 1, x.shape[0]])])
  return emit(context, 'Expand', [row, context.builder.integers([1, times, 1])], [times, x.shape[0]], false)
}

/** The axis of a configuration (`-1`, `3` or `[3]`) as an axis of one example. */
function exampleAxis(context: LayerContext, x: Value, key: string): number {
  const value = field(context.layer.config, key) ?? -1
  const axis = Array.isArray(value) && value.length === 1 ? value[0] as unknown : value
  const rank = x.shape.length + 1
  if (typeof axis !== 'number' || !Number.isInteger(axis) || axis < -rank + 1 || axis === 0 || axis >= rank) {
    throw misfit(context.layer, `has an ${key} that is not supported (${JSON.stringify(value)?.slice(0, 60)})`)
  }
  return (axis < 0 ? axis + rank : axis) - 1
}

const ones = (length: number): Tensor => float64([length], new Float64Array(length).fill(1))
const zeros = (length: number): Tensor => float64([length], new Float64Array(length))

function batchNormalization(context: LayerContext, value: Value): Value {
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

function layerNormalization(context: LayerContext, value: Value): Value {
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
function rescaling(context: LayerContext, value: Value): Value {
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
function normalization(context: LayerContext, value: Value): Value {
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

function prelu(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  const [alpha] = context.weights ?? []
  const fits = alpha !== undefined && alpha.shape.length === x.shape.length &&
    alpha.shape.every((extent, i) => extent === 1 || extent === x.shape[i])
  if (!fits) throw misfit(context.layer, `needs slopes that fit ${formatShape(x.shape)}`)
  return emit(context, 'PRelu', [x.name, parameter(context, context.layer, 'alpha', alpha)], x.shape, false)
}

function softmaxLayer(context: LayerContext, value: Value): Value {
  const x = channelsLast(context, value)
  return emit(context, 'Softmax', [x.name], x.shape, false, { axis: exampleAxis(context, x, 'axis') + 1 })
}

function embedding(context: LayerContext, x: Value): Value {
  const [table] = expectWeights(context.layer, context.weights, [[undefined, undefined]])
  if (context.builder.inputs.every(input => input.dtype !== 'int64' || input.name !== x.name)) {
    throw misfit(context.layer, 'must come first in the network')
  }
  return emit(context, 'Gather', [parameter(context, context.layer, 'embeddings', table), x.name], [...x.shape,
    table.shape[1]], false, { axis: 0 })
}

/** All inputs with the same order of axes. */
function aligned(context: LayerContext): readonly Value[] {
  const { inputs } = context
  return inputs.every(value => value.channelsFirst) ? inputs : inputs.map(value => channelsLast(context, value))
}

function combine(context: LayerContext, op: string): Value {
  const values = aligned(context)
  const [first] = values
  if (values.length < 2 || values.some(value => value.shape.join() !== first.shape.join())) {
    throw misfit(context.layer, 'needs two inputs or more of one shape')
  }
  return values.slice(1).reduce(
    (left, right) => emit(context, op, [left.name, right.name], left.shape, left.channelsFirst),
    first,
  )
}

function average(context: LayerContext): Value {
  const sum = combine(context, 'Add')
  return emit(context, 'Div', [sum.name, context.builder.scalar(context.inputs.length)], sum.shape, sum.channelsFirst)
}

function concatenate(context: LayerContext): Value {
  const values = context.inputs.map(value => channelsLast(context, value))
  const [first] = values
  const axis = exampleAxis(context, first, 'axis')
  const fits = values.every(value =>
    value.shape.length === first.shape.length &&
    value.shape.every((extent, i) => i === axis || extent === first.shape[i])
  )
  if (!fits) throw misfit(context.layer, 'gets inputs of shapes that do not fit each other')
  const shape = first.shape.map((extent,
    i) => (i === axis ? values.reduce((sum, value) => sum + value.shape[i], 0) : extent)
  )
  return emit(context, 'Concat', values.map(value => value.name), shape, false, { axis: axis + 1 })
}

/** Dense (and activations) in TimeDistributed act on the last axis anyway. */
function timeDistributed(context: LayerContext, x: Value): Value {
  const inner = field(context.layer.config, 'layer')
  const className = isConfig(inner) ? text(inner, 'class_name') : undefined
  const config = isConfig(inner) ? field(inner, 'config') : undefined
  if (className === undefined || !isConfig(config) ||
    !['Dense', 'Activation', 'Dropout', 'LayerNormalization', 'ReLU', 'LeakyReLU', 'ELU'].includes(className)) {
    throw misfit(context.layer, `wraps a ${(className ?? '?').slice(0, 60)}, which is not supported`)
  }
  return WRITERS[className]({ ...context, layer: { ...context.layer, className, config } }, x)
}
