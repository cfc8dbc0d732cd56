/** @file The activation functions of Keras as graph nodes. */
import { GraphError } from '../../core/errors/errors.js'
import { tensor } from '../../core/tensor/tensor.js'
import { field, isConfig, text } from './config.js'
import { cast, channelsLast, type Emission, emit, type Value } from './emission.js'
import type { KerasLayer } from './model.js'

type Activation = (emission: Emission, x: Value) => Value

const unary = (op: string, attributes: Record<string, number | string> = {}): Activation => (emission, x) =>
  emit(emission, op, [x.name], x.shape, x.channelsFirst, attributes)

/** Appends an elementwise node whose further operands broadcast against the value; shape and order of axes stay. */
export const same = (emission: Emission, op: string, x: Value, ...more: string[]): Value =>
  emit(emission, op, [x.name, ...more], x.shape, x.channelsFirst)

/** Softmax and log-softmax act on the last axis, the channels. */
const overChannels = (op: string): Activation => (emission, x) => {
  const last = channelsLast(emission, x)
  return emit(emission, op, [last.name], last.shape, false, { axis: -1 })
}

const swish: Activation = (emission, x) => same(emission, 'Mul', x, unary('Sigmoid')(emission, x).name)

/** (x + sqrt(x^2 + 4)) / 2 */
const squarePlus: Activation = (emission, x) => {
  const { builder } = emission
  const root = builder.node('Sqrt', [builder.node('Add', [builder.node('Mul', [x.name, x.name]), builder.scalar(4)])])
  return same(emission, 'Div', { ...x, name: builder.node('Add', [x.name, root]) }, builder.scalar(2))
}

/** 0 up to -1, (x + 1)^2 / 4 between -1 and 1, and x from there. */
const sparsePlus: Activation = (emission, x) => {
  const { builder } = emission
  const one = builder.scalar(1)
  const base = builder.node('Add', [builder.node('Clip', [x.name, builder.scalar(-1), one]), one])
  const curve = builder.node('Mul', [builder.node('Mul', [base, base]), builder.scalar(0.25)])
  return same(emission, 'Add', { ...x, name: curve }, builder.node('Relu', [builder.node('Sub', [x.name, one])]))
}

/**
 * max(x - t, 0) with k t = sum of S_j - 1 over the k largest, those with 1 + j x_(j) > S_j = x_(1) + ... + x_(j). It is
 * what Keras computes; Martins and Astudillo (2016) have S_k in place of the sum, so that the result sums to 1.
 */
const sparseMax: Activation = (emission, value) => {
  const { builder } = emission
  const x = channelsLast(emission, value)
  const length = x.shape[x.shape.length - 1]
  const [sorted] = builder.nodeOutputs('TopK', [x.name, builder.integers([length])], 2, { axis: -1 })
  const places = builder.constant(tensor(builder.precision, [length], Array.from({ length }, (_, i) => i + 1)))
  const sums = builder.node('CumSum', [sorted, builder.constant(tensor('int64', [], [-1]))])
  const bound = builder.node('Add', [builder.node('Mul', [sorted, places]), builder.scalar(1)])
  const large = cast(emission, builder.node('Greater', [bound, sums]), builder.precision)
  const sum = (name: string): string => builder.node('ReduceSum', [name, builder.integers([-1])])
  const excess = builder.node('Sub', [sum(builder.node('Mul', [sums, large])), builder.scalar(1)])
  const threshold = builder.node('Div', [excess, sum(large)])
  return emit(emission, 'Relu', [builder.node('Sub', [x.name, threshold])], x.shape, false)
}

/** The first half of the channels times the sigmoid of the second. */
const gatedLinear: Activation = (emission, value) => {
  const { builder } = emission
  const x = channelsLast(emission, value)
  const half = x.shape[x.shape.length - 1] / 2
  const part = (from: number, to: number): string =>
    builder.node('Slice', [x.name, builder.integers([from]), builder.integers([to]), builder.integers([-1])])
  return emit(emission, 'Mul', [part(0, half), builder.node('Sigmoid', [part(half, 2 * half)])], [
    ...x.shape.slice(0, -1),
    half,
  ], false)
}

/** The activations by name. `hard_sigmoid` has another slope in Keras 2: see `activate`. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  linear: (_, x) => x,
  relu: unary('Relu'),
  relu6: (emission, x) => same(emission, 'Clip', x, emission.builder.scalar(0), emission.builder.scalar(6)),
  leaky_relu: unary('LeakyRelu', { alpha: 0.2 }),
  elu: unary('Elu', { alpha: 1 }),
  celu: unary('Celu', { alpha: 1 }),
  selu: unary('Selu'),
  gelu: unary('Gelu', { approximate: 'none' }),
  sigmoid: unary('Sigmoid'),
  tanh: unary('Tanh'),
  softplus: unary('Softplus'),
  softsign: unary('Softsign'),
  swish,
  silu: swish,
  mish: unary('Mish'),
  exponential: unary('Exp'),
  hard_sigmoid: unary('HardSigmoid', { alpha: 1 / 6, beta: 0.5 }),
  hard_tanh: (emission, x) => same(emission, 'Clip', x, emission.builder.scalar(-1), emission.builder.scalar(1)),
  hard_shrink: unary('Shrink', { lambd: 0.5, bias: 0 }),
  soft_shrink: unary('Shrink', { lambd: 0.5, bias: 0.5 }),
  tanh_shrink: (emission, x) => same(emission, 'Sub', x, unary('Tanh')(emission, x).name),
  log_sigmoid: (emission, x) => unary('Neg')(emission, unary('Softplus')(emission, unary('Neg')(emission, x))),
  sparse_sigmoid: unary('HardSigmoid', { alpha: 0.5, beta: 0.5 }),
  squareplus: squarePlus,
  sparse_plus: sparsePlus,
  sparsemax: sparseMax,
  glu: gatedLinear,
  hard_silu: unary('HardSwish'),
  hard_swish: unary('HardSwish'),
  softmax: overChannels('Softmax'),
  log_softmax: overChannels('LogSoftmax'),
}

/** The name of an activation in a configuration: text, or Keras 3's description of a function. */
export function activationName(layer: KerasLayer, key = 'activation'): string {
  const value = field(layer.config, key)
  if (value === undefined || value === null) return 'linear'
  if (typeof value === 'string') return value
  if (isConfig(value)) {
    const inner = field(value, 'config')
    return typeof inner === 'string' ? inner : text(value, 'class_name') ?? '?'
  }
  return '?'
}

/**
 * Applies an activation.
 * @param keras2 whether the file is of Keras 2, whose hard_sigmoid is clip(0.2 x + 0.5)
 * @throws GraphError UNSUPPORTED_OPERATOR with the activations that are known
 */
export function activate(emission: Emission, name: string, x: Value, layer: KerasLayer, keras2: boolean): Value {
  if (name === 'hard_sigmoid' && keras2) return unary('HardSigmoid', { alpha: 0.2, beta: 0.5 })(emission, x)
  if (!Object.hasOwn(ACTIVATIONS, name)) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The activation '${name.slice(0, 60)}' of the layer '${layer.name}' cannot be imported. Known are ${
        Object.keys(ACTIVATIONS).join(', ')
      }. Export the network to ONNX (model.export(path, format="onnx"), or tf2onnx) for others.`, { layer: layer.name,
      activation: name.slice(0, 60) })
  }
  return ACTIVATIONS[name](emission, x)
}
