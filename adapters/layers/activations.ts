/** @file torch's activation functions as graph nodes. */
import { exampleAxis, type LayerArguments, number, word } from './arguments.js'
import { type Emission, emit, inputMisfit, type LayerContext, parameter, requiredTensor, type Value,
  withOperand } from './emission.js'

/** How a layer is written: the arguments that its type takes, and its nodes. */
export interface LayerWriter {
  readonly arguments: readonly string[]
  readonly write: (context: LayerContext, x: Value) => Value
}

const unary = (op: string, attributes: Record<string, number | string> = {}): LayerWriter => ({ arguments: [],
  write: ({ emission }, x) => emit(emission, op, [x.name], x.shape, attributes) })

/** An operator whose attribute is one of torch's arguments. */
const withArgument = (op: string, key: string, otherwise: number, attribute = 'alpha'): LayerWriter => ({
  arguments: [key],
  write: (context, x) =>
    emit(context.emission, op, [x.name], x.shape, { [attribute]: number(context, key, otherwise) }),
})

function clip(emission: Emission, x: Value, low: number, high: number): Value {
  return emit(emission, 'Clip', [x.name, emission.builder.scalar(low), emission.builder.scalar(high)], x.shape)
}

const negated = (emission: Emission, x: Value): Value => emit(emission, 'Neg', [x.name], x.shape)
const silu = (emission: Emission, x: Value): Value =>
  withOperand(emission, 'Mul', x, emit(emission, 'Sigmoid', [x.name], x.shape))

/** The axis of a softmax: for vectors the only one, else it must be given. */
function softmaxAxis(context: LayerArguments, x: Value): number {
  return exampleAxis(context, 'dim', x.shape.length, x.shape.length === 1 ? 1 : undefined) + 1
}

const softmax = (op: string): LayerWriter => ({ arguments: ['dim'],
  write: (context, x) => emit(context.emission, op, [x.name], x.shape, { axis: softmaxAxis(context, x) }) })

/** Thresholds from which softplus(t) is t to float32's last digit: torch's own is 20. */
const NO_THRESHOLD = 20

/** softplus(beta x) / beta, and x itself where beta x is above the threshold. */
function softplus(context: LayerContext, x: Value): Value {
  const [beta, threshold] = [number(context, 'beta', 1), number(context, 'threshold', NO_THRESHOLD)]
  const { emission } = context
  const { builder } = emission
  const scaled = beta === 1 ? x : withOperand(emission, 'Mul', x, beta)
  const plain = emit(emission, 'Softplus', [scaled.name], x.shape)
  const smooth = beta === 1 ? plain : withOperand(emission, 'Div', plain, beta)
  if (threshold >= NO_THRESHOLD) return smooth
  const above = builder.node('Greater', [scaled.name, builder.scalar(threshold)])
  return emit(emission, 'Where', [above, x.name, smooth.name], x.shape)
}

/** One slope for all elements, or one a channel (the axis behind the batch). */
function prelu(context: LayerContext, x: Value): Value {
  const { emission } = context
  const weight = requiredTensor(context, 'weight', 1)
  const [slopes] = weight.shape
  if (slopes !== 1 && slopes !== x.shape[0]) throw inputMisfit(context, `${slopes} channels`, x)
  let slope = parameter(context, 'weight', weight)
  if (slopes !== 1 && x.shape.length > 1) {
    slope = emission.builder.node('Reshape', [slope, emission.builder.integers([slopes, ...x.shape.slice(1).map(() =>
      1
    )])])
  }
  return emit(emission, 'PRelu', [x.name, slope], x.shape)
}

/** The first half of an axis times the sigmoid of the second. */
function glu(context: LayerContext, x: Value): Value {
  const axis = exampleAxis(context, 'dim', x.shape.length, -1)
  const half = x.shape[axis] / 2
  if (!Number.isInteger(half)) throw inputMisfit(context, `an even number of elements on axis ${axis + 1}`, x)
  const { emission } = context
  const { builder } = emission
  const shape = x.shape.map((extent, i) => (i === axis ? half : extent))
  const part = (from: number): Value =>
    emit(emission, 'Slice', [x.name, builder.integers([from]), builder.integers([from + half]),
      builder.integers([axis + 1])], shape)
  return withOperand(emission, 'Mul', part(0), emit(emission, 'Sigmoid', [part(half).name], shape))
}

/** x where it is above the threshold, else a value. */
function threshold(context: LayerContext, x: Value): Value {
  const { builder } = context.emission
  const above = builder.node('Greater', [x.name, builder.scalar(number(context, 'threshold', 0))])
  return emit(context.emission, 'Where', [above, x.name, builder.scalar(number(context, 'value', 0))], x.shape)
}

/** Softmax over the channels at each position of an image. */
function softmax2d(context: LayerContext, x: Value): Value {
  if (x.shape.length !== 3) throw inputMisfit(context, 'images (channels x height x width)', x)
  return emit(context.emission, 'Softmax', [x.name], x.shape, { axis: 1 })
}

/** The activations by torch's names. */
export const ACTIVATIONS: Readonly<Record<string, LayerWriter>> = {
  ReLU: unary('Relu'),
  ReLU6: { arguments: [], write: ({ emission }, x) => clip(emission, x, 0, 6) },
  LeakyReLU: withArgument('LeakyRelu', 'negative_slope', 0.01),
  // The mean of the slopes that training draws.
  RReLU: { arguments: ['lower', 'upper'],
    write: (context, x) =>
      emit(context.emission, 'LeakyRelu', [x.name], x.shape, {
        alpha: (number(context, 'lower', 1 / 8) + number(context, 'upper', 1 / 3)) / 2,
      }) },
  PReLU: { arguments: ['num_parameters', 'init'], write: prelu },
  ELU: withArgument('Elu', 'alpha', 1),
  CELU: withArgument('Celu', 'alpha', 1),
  // ONNX's own defaults are rounded to float32.
  SELU: unary('Selu', { alpha: 1.6732632423543772, gamma: 1.0507009873554805 }),
  GELU: { arguments: ['approximate'], write: (context, x) =>
    emit(context.emission, 'Gelu', [x.name], x.shape, {
      approximate: word(context, 'approximate', ['none', 'tanh']),
    }) },
  SiLU: { arguments: [], write: ({ emission }, x) => silu(emission, x) },
  Mish: unary('Mish'),
  Tanh: unary('Tanh'),
  Sigmoid: unary('Sigmoid'),
  LogSigmoid: { arguments: [],
    write: ({ emission }, x) => negated(emission, emit(emission, 'Softplus', [negated(emission, x).name], x.shape)) },
  Hardtanh: { arguments: ['min_val', 'max_val'],
    write: (context, x) => clip(context.emission, x, number(context, 'min_val', -1), number(context, 'max_val', 1)) },
  Hardsigmoid: unary('HardSigmoid', { alpha: 1 / 6, beta: 0.5 }),
  Hardswish: unary('HardSwish'),
  Exp: unary('Exp'),
  Softplus: { arguments: ['beta', 'threshold'], write: softplus },
  Softsign: unary('Softsign'),
  Tanhshrink: { arguments: [],
    write: ({ emission }, x) => withOperand(emission, 'Sub', x, emit(emission, 'Tanh', [x.name], x.shape)) },
  Softshrink: { arguments: ['lambd'],
    write: (context, x) =>
      emit(context.emission, 'Shrink', [x.name], x.shape, { lambd: number(context, 'lambd', 0.5),
        bias: number(context, 'lambd', 0.5) }) },
  Hardshrink: { arguments: ['lambd'],
    write: (context, x) =>
      emit(context.emission, 'Shrink', [x.name], x.shape, { lambd: number(context, 'lambd', 0.5), bias: 0 }) },
  Threshold: { arguments: ['threshold', 'value'], write: threshold },
  GLU: { arguments: ['dim'], write: glu },
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  Softmin: { arguments: ['dim'],
    write: (context, x) =>
      emit(context.emission, 'Softmax', [negated(context.emission, x).name], x.shape, {
        axis: softmaxAxis(context, x),
      }) },
  Softmax2d: { arguments: [], write: softmax2d },
}
