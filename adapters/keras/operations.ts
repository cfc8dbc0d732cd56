/**
 * @file Functions of keras.ops called on the tensors of a functional model: `x[:, 0]`, `2 * x + 1`,
 * `ops.mean(x, axis=1)`.
 */
import { GraphError } from '../../core/errors/errors.js'
import { sizeOf, tensor } from '../../core/tensor/tensor.js'
import { ACTIVATIONS } from './activations.js'
import { exampleAxes, withAxesLast } from './axes.js'
import { field, flag, isConfig, text } from './config.js'
import { einsumShape } from './einsum-shape.js'
import { cast, channelsLast, emit, misfit, type Value } from './emission.js'
import type { Given, LayerContext, Writer } from './layer-context.js'
import { real } from './masks.js'
import { broadcastShape, joined } from './merging.js'

/** An operator of the graph applied to one value. */
const unary = (op: string): Writer => (context, x) => emit(context, op, [x.name], x.shape, x.channelsFirst)

/** A function of an activation's name. */
const activation = (name: string): Writer => (context, x) => ACTIVATIONS[name](context, x)

/** An operator of the graph between two operands, of which one may be a number; Keras broadcasts as NumPy does. */
const binary = (op: string): Writer => context => {
  const { args, builder, layer } = context
  const whole = context.inputs.every(({ type }) => type === 'integer')
  const operands = args.map(given => operandOf(context, given, whole))
  if (operands.length !== 2) throw misfit(layer, 'takes two operands')
  const rank = Math.max(...operands.map(({ shape }) => shape.length))
  const [a, b] = operands.map(({ name, shape, constant }) => {
    // Both have the batch in front: missing axes of an example belong in front of all, where the batch lies.
    if (!constant && shape.length !== rank) throw misfit(layer, 'gets operands with different numbers of axes')
    return { name, shape: [...Array<number>(rank - shape.length).fill(1), ...shape] }
  })
  const shape = broadcastShape(a.shape, b.shape)
  if (shape === undefined) throw misfit(layer, 'gets operands of shapes that do not fit each other')
  return { name: builder.node(op, [a.name, b.name]), shape, channelsFirst: false }
}

function operandOf(context: LayerContext, given: Given,
  whole: boolean): { name: string, shape: readonly number[], constant: boolean } {
  const { builder, layer } = context
  if ('value' in given) return { ...channelsLast(context, given.value), constant: false }
  if ('literal' in given && typeof given.literal === 'number') {
    const { literal } = given
    const name = whole
      ? builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(literal) })
      : builder.scalar(literal)
    return { name, shape: [], constant: true }
  }
  throw misfit(layer, 'has an operand that is neither a tensor nor a number')
}

/** Sums, means and extrema along axes, which may not be the batch. */
const reduction = (op: string): Writer => (context, value) => {
  const { layer, builder } = context
  const x = channelsLast(context, value)
  if (typeof field(layer.config, 'axis') !== 'number' && !Array.isArray(field(layer.config, 'axis'))) {
    throw misfit(layer, 'reduces over all axes, the examples too')
  }
  const axes = exampleAxes(context, x)
  const keep = flag(layer.config, 'keepdims', false)
  const shape = x.shape.flatMap((extent, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [extent]))
  return emit(context, op, [x.name, builder.integers(axes.map(axis => axis + 1))], shape, false, {
    keepdims: keep ? 1 : 0,
  })
}

const softmax = (op: string): Writer => (context, value) =>
  withAxesLast(context, value, exampleAxes(context, value), x =>
    emit(context, op, [x.name], x.shape, false, {
      axis: -1,
    }))

/** The same elements under another shape, whose first extent is the batch. */
const reshape: Writer = (context, value) => {
  const { layer, builder } = context
  const x = channelsLast(context, value)
  const target = field(layer.config, 'newshape')
  if (!Array.isArray(target) || target.length < 2 || !target.every(each => Number.isInteger(each))) {
    throw misfit(layer, 'needs a shape of integers')
  }
  const [, ...given] = target as number[]
  const known = given.filter(each => each !== -1).reduce((a, b) => a * b, 1)
  const shape = given.map(each => (each === -1 ? sizeOf(x.shape) / known : each))
  if (target[0] !== -1 || sizeOf(shape) !== sizeOf(x.shape)) {
    throw misfit(layer, 'gives a shape whose first extent is not -1, the examples')
  }
  return emit(context, 'Reshape', [x.name, builder.integers([-1, ...shape])], shape, false)
}

const transpose: Writer = (context, value) => {
  const x = channelsLast(context, value)
  const axes = field(context.layer.config, 'axes')
  if (!Array.isArray(axes) || axes[0] !== 0 ||
    [...axes as number[]].sort((a, b) => a - b).join() !== [0, ...x.shape.map((_, i) => i + 1)].join()) {
    throw misfit(context.layer, 'moves the axis of the examples')
  }
  const perm = axes as number[]
  return emit(context, 'Transpose', [x.name], perm.slice(1).map(axis => x.shape[axis - 1]), false, { perm })
}

const expandDims: Writer = (context, value) => {
  const x = channelsLast(context, value)
  const axis = field(context.layer.config, 'axis')
  const rank = x.shape.length + 2
  const place = typeof axis === 'number' ? (axis < 0 ? axis + rank : axis) : 0
  if (!Number.isInteger(place) || place < 1 || place >= rank) {
    throw misfit(context.layer, 'needs an axis of the example')
  }
  const shape = [...x.shape.slice(0, place - 1), 1, ...x.shape.slice(place - 1)]
  return emit(context, 'Unsqueeze', [x.name, context.builder.integers([place])], shape, false)
}

const squeeze: Writer = (context, value) => {
  const x = channelsLast(context, value)
  const axes = exampleAxes(context, x, 'axis', x.shape.flatMap((extent, i) => (extent === 1 ? [i + 1] : [])))
  return emit(context, 'Squeeze', [x.name, context.builder.integers(axes.map(axis => axis + 1))],
    x.shape.filter((_, axis) => !axes.includes(axis)), false)
}

const concatenate: Writer = context => joined(context, context.inputs.map(value => channelsLast(context, value)))

const stack: Writer = context => {
  const values = context.inputs.map(value => channelsLast(context, value))
  const axis = field(context.layer.config, 'axis') ?? 0
  const rank = values[0].shape.length + 2
  const place = typeof axis === 'number' ? (axis < 0 ? axis + rank : axis) : 0
  if (place < 1 || place >= rank) throw misfit(context.layer, 'stacks along the axis of the examples')
  const rows = values.map(({ name }) => context.builder.node('Unsqueeze', [name, context.builder.integers([place])]))
  const shape = [...values[0].shape.slice(0, place - 1), values.length, ...values[0].shape.slice(place - 1)]
  return emit(context, 'Concat', rows, shape, false, { axis: place })
}

/** `x[:, 0, 1:3]`: places and ranges behind the axis of the examples. */
const getItem: Writer = (context, value) => {
  const { args, builder, layer } = context
  const x = channelsLast(context, value)
  const key = literalOf(args[1])
  const parts = Array.isArray(key) ? key : [key]
  if (parts.length > x.shape.length + 1 || !isRange(parts[0]) || rangeOf(parts[0], 1).join() !== '0,1,1') {
    throw misfit(layer, 'takes a part of the examples, or has an index that is not supported')
  }
  let { name } = x
  const shape: number[] = [...x.shape]
  const gone: number[] = []
  parts.slice(1).forEach((part: unknown, axis) => {
    const extent = x.shape[axis]
    const place = typeof part === 'number' ? (part < 0 ? part + extent : part) : undefined
    if (place === undefined && !isRange(part)) throw misfit(layer, 'has an index that is not supported')
    if (place !== undefined && !(Number.isInteger(place) && place >= 0 && place < extent)) {
      throw misfit(layer, `has an index outside of an axis of ${extent}`)
    }
    const [start, end, step] = place === undefined ? rangeOf(part, extent) : [place, place + 1, 1]
    if (place !== undefined) gone.push(axis)
    shape[axis] = Math.max(0, Math.ceil((end - start) / step))
    if (shape[axis] === extent) return
    if (shape[axis] === 0 || step < 1) throw misfit(layer, 'has a range that is empty or runs backwards')
    name = builder.node('Slice', [name, ...[start, end, axis + 1, step].map(each => builder.integers([each]))])
  })
  if (gone.length === 0) return { name, shape, channelsFirst: false }
  return emit(context, 'Squeeze', [name, builder.integers(gone.map(axis => axis + 1))],
    shape.filter((_, axis) => !gone.includes(axis)), false)
}

/** An argument without tensors, as JSON has it. */
function literalOf(given: Given | undefined): unknown {
  if (given === undefined || 'value' in given) return undefined
  return 'literal' in given ? given.literal : given.list.map(literalOf)
}

const isRange = (part: unknown): boolean => isConfig(part) && text(part, 'class_name') === '__slice__'

function rangeOf(part: unknown, extent: number): [number, number, number] {
  const config = isConfig(part) ? field(part, 'config') : undefined
  const entry = (name: string, otherwise: number): number => {
    const value = isConfig(config) ? field(config, name) : undefined
    return typeof value === 'number' ? value : otherwise
  }
  const place = (at: number): number => Math.min(extent, Math.max(0, at < 0 ? at + extent : at))
  return [place(entry('start', 0)), place(entry('stop', extent)), entry('step', 1)]
}

const matmul: Writer = context => {
  const values = context.inputs.map(value => channelsLast(context, value))
  const [a, b] = values
  if (values.length !== 2 || a.shape.length !== b.shape.length || a.shape.length < 2) {
    throw misfit(context.layer, 'multiplies values that are no matrices of one number of axes')
  }
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  if (batch === undefined || a.shape[a.shape.length - 1] !== b.shape[b.shape.length - 2]) {
    throw misfit(context.layer, 'gets matrices that do not fit each other')
  }
  return emit(context, 'MatMul', [a.name, b.name], [...batch, a.shape[a.shape.length - 2], b.shape[b.shape.length - 1]],
    false)
}

const einsum: Writer = context => {
  const values = context.inputs.map(value => channelsLast(context, value))
  const equation = (text(context.layer.config, 'subscripts') ?? '').replaceAll(' ', '')
  const shape = einsumShape(equation, values.map(value => value.shape))
  if (shape === undefined) {
    throw misfit(context.layer, `has the equation '${equation.slice(0, 60)}', which is not supported`)
  }
  return emit(context, 'Einsum', values.map(({ name }) => name), shape, false, { equation })
}

/** Whether two operands differ. */
const notEqual: Writer = (context, x) => {
  const equal = binary('Equal')(context, x) as Value
  return { ...equal, name: context.builder.node('Not', [equal.name]) }
}

/** Truth where one of the elements along the axes is true. */
const any: Writer = (context, x) => {
  const most = reduction('ReduceMax')(context, { ...x, name: real(context, x.name) }) as Value
  return { ...most, name: cast(context, most.name, 'bool') }
}

/** Zeros or ones, as truths where the layer says so, of the shape of a value. */
const filledLike = (one: boolean): Writer => (context, x) => {
  const { builder, layer } = context
  const same = builder.node('Equal', [x.name, x.name])
  const truth = one ? same : builder.node('Not', [same])
  const name = text(layer.config, 'dtype') === 'bool' ? truth : real(context, truth)
  return { name, shape: x.shape, channelsFirst: x.channelsFirst }
}

/** x clipped to a range. */
const clip: Writer = (context, x) => {
  const bound = (key: string): string => {
    const value = field(context.layer.config, key)
    return typeof value === 'number' ? context.builder.constant(tensor(context.builder.precision, [], [value])) : ''
  }
  return emit(context, 'Clip', [x.name, bound('x_min'), bound('x_max')], x.shape, x.channelsFirst)
}

/** The elements along axes from the last to the first. */
const flip: Writer = (context, value) => {
  const x = channelsLast(context, value)
  if (typeof field(context.layer.config, 'axis') !== 'number' && !Array.isArray(field(context.layer.config, 'axis'))) {
    throw misfit(context.layer, 'turns all axes round, that of the examples too')
  }
  const axes = exampleAxes(context, x).map(axis => axis + 1)
  const each = (place: number): string => context.builder.integers(axes.map(() => place))
  // Behind the first element: the least integer.
  const operands = [each(-1), each(-(2 ** 31)), context.builder.integers(axes), each(-1)]
  return emit(context, 'Slice', [x.name, ...operands], x.shape, false)
}

const square: Writer = (context, x) => emit(context, 'Mul', [x.name, x.name], x.shape, x.channelsFirst)

const gelu: Writer = (context, x) =>
  emit(context, 'Gelu', [x.name], x.shape, x.channelsFirst, {
    approximate: flag(context.layer.config, 'approximate', true) ? 'tanh' : 'none',
  })

const OPERATIONS: Readonly<Record<string, Writer>> = {
  Absolute: unary('Abs'),
  Abs: unary('Abs'),
  Negative: unary('Neg'),
  Exp: unary('Exp'),
  Log: unary('Log'),
  Sqrt: unary('Sqrt'),
  Sin: unary('Sin'),
  Cos: unary('Cos'),
  Tan: unary('Tan'),
  Tanh: unary('Tanh'),
  Sinh: unary('Sinh'),
  Cosh: unary('Cosh'),
  Arctan: unary('Atan'),
  Erf: unary('Erf'),
  Sign: unary('Sign'),
  Reciprocal: unary('Reciprocal'),
  Square: square,
  Sigmoid: activation('sigmoid'),
  Relu: activation('relu'),
  Relu6: activation('relu6'),
  Silu: activation('silu'),
  Softplus: activation('softplus'),
  Softsign: activation('softsign'),
  Elu: activation('elu'),
  Selu: activation('selu'),
  LogSigmoid: activation('log_sigmoid'),
  Gelu: gelu,
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  Add: binary('Add'),
  Subtract: binary('Sub'),
  Multiply: binary('Mul'),
  Divide: binary('Div'),
  TrueDivide: binary('Div'),
  Power: binary('Pow'),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Mean: reduction('ReduceMean'),
  Sum: reduction('ReduceSum'),
  Max: reduction('ReduceMax'),
  Min: reduction('ReduceMin'),
  Amax: reduction('ReduceMax'),
  Amin: reduction('ReduceMin'),
  Reshape: reshape,
  Transpose: transpose,
  ExpandDims: expandDims,
  Squeeze: squeeze,
  Concatenate: concatenate,
  Stack: stack,
  GetItem: getItem,
  Matmul: matmul,
  Einsum: einsum,
  Clip: clip,
  Flip: flip,
  ConvertToTensor: (_, x) => x,
  Equal: binary('Equal'),
  NotEqual: notEqual,
  Greater: binary('Greater'),
  GreaterEqual: binary('GreaterOrEqual'),
  Less: binary('Less'),
  LessEqual: binary('LessOrEqual'),
  LogicalOr: binary('Or'),
  LogicalAnd: binary('And'),
  LogicalNot: unary('Not'),
  Any: any,
  ZerosLike: filledLike(false),
  OnesLike: filledLike(true),
}

const GIVE_TRUTH: ReadonlySet<string> = new Set(['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual',
  'LogicalOr', 'LogicalAnd', 'LogicalNot', 'Any'])

const KEEP_TYPE: ReadonlySet<string> = new Set(['Reshape', 'Transpose', 'ExpandDims', 'Squeeze', 'Concatenate', 'Stack',
  'GetItem', 'Flip', 'ConvertToTensor'])

/** The functions of keras.ops that can be read. */
export const SUPPORTED_OPERATIONS: readonly string[] = Object.keys(OPERATIONS)

/** Appends the nodes of a function. @throws GraphError UNSUPPORTED_OPERATOR naming those that are known */
export function writeOperation(context: LayerContext, x: Value): Value {
  const { layer } = context
  if (!Object.hasOwn(OPERATIONS, layer.className)) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The network calls the function ${layer.className.slice(0, 100)} of keras.ops ('${
        layer.path.slice(0, 100)
      }'), which cannot be imported. Known are ${
        SUPPORTED_OPERATIONS.join(', ')
      }. Export the network to ONNX (model.export(path, format="onnx"), or tf2onnx) for others.`, {
      layer: layer.path,
      class: layer.className.slice(0, 100),
    })
  }
  const result = OPERATIONS[layer.className](context, x) as Value
  const truth = GIVE_TRUTH.has(layer.className) || text(layer.config, 'dtype') === 'bool'
  const type = truth ? 'boolean' : KEEP_TYPE.has(layer.className) ? x.type : undefined
  return type === undefined ? result : { ...result, type }
}
