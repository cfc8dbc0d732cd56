/** @file Operators that map every element by itself: activations, elementary functions, casts. */
import type { Node } from '../graph/graph.js'
import { rectify } from '../kernels/arithmetic.js'
import * as kernels from '../kernels/elementwise.js'
import { cast, type Tensor, type TensorData } from '../tensor/tensor.js'
import { dtypeOf, elementTypeOf, isFloat } from './element-types.js'
import { erf, erfTables } from './erf.js'
import { type Expression, expression } from './expression.js'
import { narrowing, roundToEven } from './narrow-types.js'
import { badNode, numberAttribute, requiredInput, stringAttribute } from './node-attributes.js'
import type { InferredValue, Operator } from './operator.js'

type Real = Float32Array | Float64Array

/** Names of what a derivative may use: the input, the output and the cotangent of the output. */
interface Derivative {
  readonly node: Node
  readonly x: string
  readonly y: string
  readonly cotangent: string
}

interface Definition {
  readonly kernel: (x: Real, y: Real, node: Node) => void
  /** dy/dx as a formula; the cotangent is multiplied by it. */
  readonly slope?: (e: Expression, values: Derivative) => string | number
}

function isReal(data: TensorData): data is Real {
  return !(data instanceof Uint8Array)
}

function unary(op: string, { kernel, slope }: Definition): Operator {
  const operator: Operator = {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      if (x.dtype === 'bool') throw badNode(node, 'its input must be numbers; it is of type bool.')
      return [{ dtype: x.dtype, shape: x.shape }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const y = context.allocate(x.dtype, x.data.length)
      if (isReal(x.data) && isReal(y)) kernel(x.data, y, node)
      return [{ dtype: x.dtype, shape: x.shape, data: y }]
    },
  }
  if (slope === undefined) return operator
  return {
    ...operator,
    backward({ builder, node, cotangents: [cotangent] }) {
      if (cotangent === undefined) return [undefined]
      const e = expression(builder)
      return [e.mul(cotangent, slope(e, { node, x: node.inputs[0], y: node.outputs[0], cotangent }))]
    },
  }
}

/** A step function: its derivative is 0 wherever it has one, so no gradient flows. */
function step(op: string, kernel: Definition['kernel']): Operator {
  return { ...unary(op, { kernel }), backward: () => [undefined] }
}

const alphaOf = (fallback: number) => (node: Node): number => numberAttribute(node, 'alpha', fallback)
const SELU = { alpha: 1.67326319217681884765625, gamma: 1.05070102214813232421875 }
const INVERSE_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI)
const GELU_TANH = { scale: Math.sqrt(2 / Math.PI), cubic: 0.044715 }

/** log(1 + e^x) without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
}

function sigmoid(x: number): number {
  const power = Math.exp(-Math.abs(x))
  return (x < 0 ? power : 1) / (1 + power)
}

/** dy/dx of y = x > 0 ? x : negative(x), where the negative side's slope is given. */
function leftSlope(e: Expression, x: string, negativeSlope: string | number): string {
  return e.add(e.indicator('Greater', x, 0), e.mul(e.indicator('LessOrEqual', x, 0), negativeSlope))
}

/** e^min(x, 0): the slope of exponential units on the left, without overflow on the right. */
function expOfNegative(e: Expression, x: string, scale = 1): string {
  return e.apply('Exp', e.mul(e.sub(x, e.apply('Relu', x)), 1 / scale))
}

function geluKernel(x: Real, y: Real, node: Node): void {
  if (stringAttribute(node, 'approximate', 'none') === 'tanh') {
    const { scale, cubic } = GELU_TANH
    for (let i = 0; i < y.length; i++) y[i] = 0.5 * x[i] * (1 + Math.tanh(scale * (x[i] + cubic * x[i] * x[i] * x[i])))
  } else if (!kernels.byTable('gelu', x, y, erfTables)) {
    for (let i = 0; i < y.length; i++) y[i] = 0.5 * x[i] * (1 + erf(x[i] * Math.SQRT1_2))
  }
}

function geluSlope(e: Expression, { node, x }: Derivative): string {
  const square = e.mul(x, x)
  if (stringAttribute(node, 'approximate', 'none') !== 'tanh') {
    const density = e.mul(INVERSE_SQRT_2PI, e.apply('Exp', e.mul(-0.5, square)))
    const distribution = e.add(0.5, e.mul(0.5, e.apply('Erf', e.mul(x, Math.SQRT1_2))))
    return e.add(distribution, e.mul(x, density))
  }
  const { scale, cubic } = GELU_TANH
  const t = e.apply('Tanh', e.mul(scale, e.mul(x, e.add(1, e.mul(cubic, square)))))
  const inner = e.mul(scale, e.add(1, e.mul(3 * cubic, square)))
  return e.mul(0.5, e.add(e.add(1, t), e.mul(x, e.mul(e.sub(1, e.mul(t, t)), inner))))
}

/** y = x sigmoid(alpha x) has dy/dx = s (1 + alpha x (1 - s)). */
function swishSlope(e: Expression, { node, x }: Derivative): string {
  const alpha = numberAttribute(node, 'alpha', 1)
  const s = e.apply('Sigmoid', e.mul(alpha, x))
  return e.mul(s, e.add(1, e.mul(e.mul(alpha, x), e.sub(1, s))))
}

/** y = x tanh(softplus x) has dy/dx = t + x (1 - t^2) sigmoid(x). */
function mishSlope(e: Expression, { x }: Derivative): string {
  const t = e.apply('Tanh', e.apply('Softplus', x))
  return e.add(t, e.mul(x, e.mul(e.sub(1, e.mul(t, t)), e.apply('Sigmoid', x))))
}

const sech2 = (e: Expression, { y }: Derivative): string => e.sub(1, e.mul(y, y))

const activations: readonly Operator[] = [
  unary('Relu', {
    // NaN stays NaN.
    kernel: (x, y) => {
      if (!rectify(x, y)) { for (let i = 0; i < y.length; i++) y[i] = x[i] < 0 ? 0 : x[i] }
    },
    slope: (e, { y }) => e.indicator('Greater', y, 0),
  }),
  unary('LeakyRelu', {
    kernel: (x, y, node) => {
      const alpha = alphaOf(0.01)(node)
      for (let i = 0; i < y.length; i++) y[i] = x[i] < 0 ? alpha * x[i] : x[i]
    },
    slope: (e, { node, x }) => leftSlope(e, x, alphaOf(0.01)(node)),
  }),
  unary('ThresholdedRelu', {
    kernel: (x, y, node) => {
      const alpha = alphaOf(1)(node)
      for (let i = 0; i < y.length; i++) y[i] = x[i] > alpha ? x[i] : 0
    },
    slope: (e, { node, x }) => e.indicator('Greater', x, alphaOf(1)(node)),
  }),
  unary('Elu', {
    kernel: (x, y, node) => {
      const alpha = alphaOf(1)(node)
      for (let i = 0; i < y.length; i++) y[i] = x[i] < 0 ? alpha * Math.expm1(x[i]) : x[i]
    },
    slope: (e, { node, x }) => leftSlope(e, x, e.mul(alphaOf(1)(node), expOfNegative(e, x))),
  }),
  unary('Celu', {
    kernel: (x, y, node) => {
      const alpha = alphaOf(1)(node)
      for (let i = 0; i < y.length; i++) y[i] = x[i] < 0 ? alpha * Math.expm1(x[i] / alpha) : x[i]
    },
    slope: (e, { node, x }) => leftSlope(e, x, expOfNegative(e, x, alphaOf(1)(node))),
  }),
  unary('Selu', {
    kernel: (x, y, node) => {
      const alpha = numberAttribute(node, 'alpha', SELU.alpha)
      const gamma = numberAttribute(node, 'gamma', SELU.gamma)
      for (let i = 0; i < y.length; i++) y[i] = gamma * (x[i] < 0 ? alpha * Math.expm1(x[i]) : x[i])
    },
    slope: (e, { node, x }) =>
      e.mul(numberAttribute(node, 'gamma', SELU.gamma),
        leftSlope(e, x, e.mul(numberAttribute(node, 'alpha', SELU.alpha), expOfNegative(e, x)))),
  }),
  unary('Sigmoid', { kernel: kernels.sigmoid, slope: (e, { y }) => e.mul(y, e.sub(1, y)) }),
  unary('Tanh', { kernel: kernels.tanh, slope: sech2 }),
  unary('HardSigmoid', {
    kernel: (x, y, node) => {
      const [alpha, beta] = [alphaOf(0.2)(node), numberAttribute(node, 'beta', 0.5)]
      for (let i = 0; i < y.length; i++) y[i] = Math.max(0, Math.min(1, alpha * x[i] + beta))
    },
    slope: (e, { node, y }) =>
      e.mul(alphaOf(0.2)(node), e.mul(e.indicator('Greater', y, 0), e.indicator('Less', y, 1))),
  }),
  unary('HardSwish', {
    kernel: (x, y) => {
      for (let i = 0; i < y.length; i++) y[i] = x[i] * Math.max(0, Math.min(1, x[i] / 6 + 0.5))
    },
    slope: (e, { x }) =>
      e.add(e.indicator('GreaterOrEqual', x, 3),
        e.mul(e.indicator('Less', e.apply('Abs', x), 3), e.add(0.5, e.mul(x, 1 / 3)))),
  }),
  unary('Softplus', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = softplus(x[i])
  }, slope: (e, { x }) => e.apply('Sigmoid', x) }),
  unary('Softsign', {
    kernel: (x, y) => {
      for (let i = 0; i < y.length; i++) y[i] = x[i] / (1 + Math.abs(x[i]))
    },
    slope: (e, { x }) => e.pow(e.add(1, e.apply('Abs', x)), -2),
  }),
  unary('Gelu', { kernel: geluKernel, slope: geluSlope }),
  unary('Swish', { kernel: (x, y, node) => {
    const alpha = alphaOf(1)(node)
    for (let i = 0; i < y.length; i++) y[i] = x[i] * sigmoid(alpha * x[i])
  }, slope: swishSlope }),
  unary('Mish', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = x[i] * Math.tanh(softplus(x[i]))
  }, slope: mishSlope }),
  unary('Shrink', {
    kernel: (x, y, node) => {
      const [bias, limit] = [numberAttribute(node, 'bias', 0), numberAttribute(node, 'lambd', 0.5)]
      for (let i = 0; i < y.length; i++) y[i] = x[i] < -limit ? x[i] + bias : x[i] > limit ? x[i] - bias : 0
    },
    slope: (e, { node, x }) => e.indicator('Greater', e.apply('Abs', x), numberAttribute(node, 'lambd', 0.5)),
  }),
]

/** An elementary function from its scalar form. */
function elementary(op: string, f: (x: number) => number, slope: NonNullable<Definition['slope']>): Operator {
  return unary(op, { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = f(x[i])
  }, slope })
}

const elementaryFunctions: readonly Operator[] = [
  unary('Neg', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = -x[i]
  }, slope: () => -1 }),
  unary('Abs', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Math.abs(x[i])
  }, slope: (e, { x }) => e.apply('Sign', x) }),
  unary('Sqrt', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Math.sqrt(x[i])
  }, slope: (e, { y }) => e.div(0.5, y) }),
  unary('Exp', { kernel: kernels.exp, slope: (_, { y }) => y }),
  unary('Log', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Math.log(x[i])
  }, slope: (e, { x }) => e.apply('Reciprocal', x) }),
  unary('Erf', {
    kernel: (x, y) => {
      if (!kernels.byTable('erf', x, y, erfTables)) { for (let i = 0; i < y.length; i++) y[i] = erf(x[i]) }
    },
    slope: (e, { x }) => e.mul(2 / Math.sqrt(Math.PI), e.apply('Exp', e.apply('Neg', e.mul(x, x)))),
  }),
  unary('Reciprocal', { kernel: (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = 1 / x[i]
  }, slope: (e, { y }) => e.apply('Neg', e.mul(y, y)) }),
  elementary('Sin', Math.sin, (e, { x }) => e.apply('Cos', x)),
  elementary('Cos', Math.cos, (e, { x }) => e.apply('Neg', e.apply('Sin', x))),
  elementary('Tan', Math.tan, (e, { y }) => e.add(1, e.mul(y, y))),
  elementary('Asin', Math.asin, (e, { x }) => e.pow(e.sub(1, e.mul(x, x)), -0.5)),
  elementary('Acos', Math.acos, (e, { x }) => e.apply('Neg', e.pow(e.sub(1, e.mul(x, x)), -0.5))),
  elementary('Atan', Math.atan, (e, { x }) => e.apply('Reciprocal', e.add(1, e.mul(x, x)))),
  elementary('Sinh', Math.sinh, (e, { x }) => e.apply('Cosh', x)),
  elementary('Cosh', Math.cosh, (e, { x }) => e.apply('Sinh', x)),
  elementary('Asinh', Math.asinh, (e, { x }) => e.pow(e.add(e.mul(x, x), 1), -0.5)),
  elementary('Acosh', Math.acosh, (e, { x }) => e.pow(e.sub(e.mul(x, x), 1), -0.5)),
  elementary('Atanh', Math.atanh, (e, { x }) => e.apply('Reciprocal', e.sub(1, e.mul(x, x)))),
  step('Sign', (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Math.sign(x[i])
  }),
  step('Floor', (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Math.floor(x[i])
  }),
  step('Ceil', (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Math.ceil(x[i])
  }),
  step('Round', (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = roundToEven(x[i])
  }),
]

const identity: Operator = {
  op: 'Identity',
  infer: (node, inputs) => [requiredInput(node, inputs, 0)],
  run: (node, inputs) => [requiredInput(node, inputs, 0)],
  backward: ({ cotangents }) => [cotangents[0]],
}

/** Passes its input on and no derivative back, an operator of our own: what a framework's code has detached. */
const stopGradient: Operator = {
  op: 'StopGradient',
  infer: (node, inputs) => [requiredInput(node, inputs, 0)],
  run: (node, inputs) => [requiredInput(node, inputs, 0)],
  backward: () => [undefined],
}

/** At prediction time Dropout passes its input on; its second output, the mask, is all true. */
const dropout: Operator = {
  op: 'Dropout',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    if (inputs[2] !== undefined && inputs[2].constant?.data[0] !== 0) {
      throw badNode(node, 'it runs in training mode, where its output is random; export the network for inference.')
    }
    return [x, { dtype: 'bool', shape: x.shape }].slice(0, node.outputs.length) as InferredValue[]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    if (node.outputs.length < 2) return [x]
    const mask: Tensor = { dtype: 'bool', shape: x.shape, data: context.allocate('bool', x.data.length).fill(1) }
    return [x, mask]
  },
  backward: ({ cotangents }) => [cotangents[0]],
}

/**
 * Converts to the dtype of `to`; `storage`, an attribute of our own, names an element type of fewer bits that the
 * values go through. Rounding has the derivative 1 here, as if it were not there.
 */
const castOperator: Operator = {
  op: 'Cast',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const dtype = dtypeOf(node, numberAttribute(node, 'to'))
    const { constant, ...type } = x
    const value = constant === undefined || storageOf(node) !== undefined ? undefined : cast(constant, dtype)
    return [{ ...type, dtype, ...(value === undefined ? {} : { constant: value }) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const dtype = dtypeOf(node, numberAttribute(node, 'to'))
    const convert = storageOf(node)
    if (x.dtype === dtype && convert === undefined) return [x]
    const data = context.allocate(dtype, x.data.length)
    if (convert !== undefined) { for (let i = 0; i < data.length; i++) data[i] = convert(x.data[i]) }
    else if (dtype === 'int64') { for (let i = 0; i < data.length; i++) data[i] = Math.trunc(x.data[i]) }
    else if (dtype === 'bool') { for (let i = 0; i < data.length; i++) data[i] = x.data[i] === 0 ? 0 : 1 }
    else data.set(x.data)
    return [{ dtype, shape: x.shape, data }]
  },
  backward({ builder, inputs: [x], outputs: [y], cotangents: [cotangent] }) {
    if (cotangent === undefined || x === undefined || !isFloat(x.dtype) || !isFloat(y.dtype)) return [undefined]
    return [x.dtype === y.dtype ? cotangent : builder.node('Cast', [cotangent], { to: elementTypeOf(x.dtype) })]
  },
}

/** How values change on their way through a narrower element type. */
function storageOf(node: Node): ((value: number) => number) | undefined {
  if (node.attributes['storage'] === undefined) return undefined
  return narrowing(numberAttribute(node, 'storage'), { saturate: numberAttribute(node, 'saturate', 1) !== 0,
    roundMode: stringAttribute(node, 'round_mode', 'up') })
}

const not: Operator = {
  op: 'Not',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    if (x.dtype !== 'bool') throw badNode(node, `its input must be of type bool; it is ${x.dtype}.`)
    return [{ dtype: 'bool', shape: x.shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const y = context.allocate('bool', x.data.length)
    for (let i = 0; i < y.length; i++) y[i] = x.data[i] === 0 ? 1 : 0
    return [{ dtype: 'bool', shape: x.shape, data: y }]
  },
  backward: () => [undefined],
}

/** A question about every element; no gradient flows through its answer. */
function question(op: string, ask: (x: number, node: Node) => boolean): Operator {
  return {
    op,
    infer: (node, inputs) => [{ dtype: 'bool', shape: requiredInput(node, inputs, 0).shape }],
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const y = context.allocate('bool', x.data.length)
      for (let i = 0; i < y.length; i++) y[i] = ask(x.data[i], node) ? 1 : 0
      return [{ dtype: 'bool', shape: x.shape, data: y }]
    },
    backward: () => [undefined],
  }
}

const questions: readonly Operator[] = [
  question('IsNaN', Number.isNaN),
  question('IsInf', (x, node) =>
    (x === Infinity && numberAttribute(node, 'detect_positive', 1) !== 0) ||
    (x === -Infinity && numberAttribute(node, 'detect_negative', 1) !== 0)),
]

/** A tensor written into the graph; readers usually turn these nodes into initialisers. */
const constant: Operator = {
  op: 'Constant',
  infer(node) {
    const value = constantValue(node)
    return [{ dtype: value.dtype, shape: value.shape, constant: value }]
  },
  run: node => [constantValue(node)],
  backward: () => [],
}

function constantValue(node: Node): Tensor {
  const { value } = node.attributes
  if (value === undefined || typeof value !== 'object' || !('data' in value)) {
    throw badNode(node, "attribute 'value' must be a tensor.")
  }
  return value
}

/** Unary operators, casts and constants. */
export const unaryOperators: readonly Operator[] = [...activations, ...elementaryFunctions, identity, stopGradient,
  dropout, castOperator, not, ...questions, constant]
