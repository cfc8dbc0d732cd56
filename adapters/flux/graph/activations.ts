/**
 * @file Functions of one number that Flux applies element by element, as graph nodes.
 *
 * Definitions are those of NNlib.jl (activations.jl); `gelu` is its tanh approximation.
 */
import { type Emission, emit, type Value } from './emission.js'

type Pointwise = (emission: Emission, x: Value, parameter: number | undefined) => Value

const unary = (op: string, attributes: Record<string, number | string> = {}): Pointwise => (emission, x) =>
  emit(emission, op, [x.name], x.shape, attributes)
const withAlpha = (op: string, alpha: number): Pointwise => (emission, x, given) =>
  emit(emission, op, [x.name], x.shape, { alpha: given ?? alpha })

function binary(emission: Emission, op: string, a: Value, b: Value | number): Value {
  return emit(emission, op, [a.name, typeof b === 'number' ? emission.builder.scalar(b) : b.name], a.shape)
}

function clip(emission: Emission, x: Value, low: number, high: number): Value {
  return emit(emission, 'Clip', [x.name, emission.builder.scalar(low), emission.builder.scalar(high)], x.shape)
}

const sigmoid = unary('Sigmoid')
const softplus = unary('Softplus')
const times = (inner: Pointwise): Pointwise => (emission, x) =>
  binary(emission, 'Mul', x, inner(emission, x, undefined))
const identity: Pointwise = (_, x) => x

/** x sigmoid(sqrt(8/pi) x (1 + 0.044715 x^2)). */
const geluSigmoid: Pointwise = (emission, x) => {
  const cubic = binary(emission, 'Add', binary(emission, 'Mul', binary(emission, 'Mul', x, x), 0.044715), 1)
  return binary(emission, 'Mul', x,
    sigmoid(emission, binary(emission, 'Mul', binary(emission, 'Mul', x, cubic), Math.sqrt(8 / Math.PI)), undefined))
}

/** log(cosh(x)) = x + softplus(-2x) - log 2. */
const logCosh: Pointwise = (emission, x) => {
  const tail = softplus(emission, binary(emission, 'Mul', x, -2), undefined)
  return binary(emission, 'Sub', binary(emission, 'Add', x, tail), Math.LN2)
}

/** relu(x - l) - relu(-x - l). */
const softShrink: Pointwise = (emission, x, given) => {
  const width = given ?? 0.5
  const up = emit(emission, 'Relu', [binary(emission, 'Sub', x, width).name], x.shape)
  const mirrored = emit(emission, 'Neg', [x.name], x.shape)
  const down = emit(emission, 'Relu', [binary(emission, 'Sub', mirrored, width).name], x.shape)
  return binary(emission, 'Sub', up, down)
}

/** x where x > theta, else 0. */
const thresholdRelu: Pointwise = (emission, x, given) => {
  const { builder } = emission
  const above = builder.node('Greater', [x.name, builder.scalar(given ?? 1)])
  return emit(emission, 'Where', [above, x.name, builder.scalar(0)], x.shape)
}

const negated = (inner: Pointwise): Pointwise => (emission, x) => {
  const mirrored = emit(emission, 'Neg', [x.name], x.shape)
  return emit(emission, 'Neg', [inner(emission, mirrored, undefined).name], x.shape)
}

const POINTWISE: Readonly<Record<string, Pointwise>> = {
  identity,
  relu: unary('Relu'),
  relu6: (emission, x) => clip(emission, x, 0, 6),
  leakyrelu: withAlpha('LeakyRelu', 0.01),
  elu: withAlpha('Elu', 1),
  celu: withAlpha('Celu', 1),
  selu: unary('Selu'),
  gelu: unary('Gelu', { approximate: 'tanh' }),
  gelu_tanh: unary('Gelu', { approximate: 'tanh' }),
  gelu_erf: unary('Gelu', { approximate: 'none' }),
  gelu_sigmoid: geluSigmoid,
  swish: times(sigmoid),
  silu: times(sigmoid),
  hardswish: unary('HardSwish'),
  hardσ: unary('HardSigmoid', { alpha: 1 / 6, beta: 0.5 }),
  hardsigmoid: unary('HardSigmoid', { alpha: 1 / 6, beta: 0.5 }),
  hardtanh: (emission, x) => clip(emission, x, -1, 1),
  σ: sigmoid,
  sigmoid,
  sigmoid_fast: sigmoid,
  logistic: sigmoid,
  logσ: negated(softplus),
  logsigmoid: negated(softplus),
  softplus,
  softsign: unary('Softsign'),
  softshrink: softShrink,
  tanh: unary('Tanh'),
  tanh_fast: unary('Tanh'),
  tanhshrink: (emission, x) => binary(emission, 'Sub', x, emit(emission, 'Tanh', [x.name], x.shape)),
  mish: unary('Mish'),
  lisht: times(unary('Tanh')),
  logcosh: logCosh,
  trelu: thresholdRelu,
  thresholdrelu: thresholdRelu,
  exp: unary('Exp'),
  log: unary('Log'),
  abs: unary('Abs'),
  abs2: (emission, x) => binary(emission, 'Mul', x, x),
  sqrt: unary('Sqrt'),
  erf: unary('Erf'),
  inv: (emission, x) => emit(emission, 'Div', [emission.builder.scalar(1), x.name], x.shape),
  '-': unary('Neg'),
  '+': identity,
}

/** Activations with a second argument: its default is NNlib's. */
const WITH_PARAMETER: ReadonlySet<string> = new Set(['leakyrelu', 'elu', 'celu', 'softshrink', 'trelu',
  'thresholdrelu'])

/**
 * Applies a function of one number to every element.
 * @param parameter the second argument, for example the slope of leakyrelu
 * @returns undefined when the function is not known
 */
export function pointwise(emission: Emission, name: string, x: Value, parameter?: number): Value | undefined {
  if (!Object.hasOwn(POINTWISE, name) || (parameter !== undefined && !WITH_PARAMETER.has(name))) return undefined
  return POINTWISE[name](emission, x, parameter)
}
