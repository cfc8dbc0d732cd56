/** @file Operators that combine broadcast operands element by element: arithmetic, comparison, logic, selection. */
import { type Dim, isBatch } from '../graph/graph.js'
import { type Arithmetic, combineRows, gateRows } from '../kernels/arithmetic.js'
import { type DType, sizeOf, type Tensor, type TensorData } from '../tensor/tensor.js'
import { type BinaryRow, type BroadcastPlan, broadcastPlan, forEachRow, runBinary } from './broadcast.js'
import { isFloat } from './element-types.js'
import { type Expression, expression } from './expression.js'
import { badNode, numberAttribute, requiredInput, scalarOf } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { broadcastDims, knownDims, sameDim } from './shape-rules.js'

type Slope = (e: Expression, values: { readonly a: string, readonly b: string, readonly y: string },
  cotangent: string) => string

interface Definition {
  readonly row: BinaryRow
  /** What the kernels call it, where they have it. */
  readonly kernel?: Arithmetic
  readonly result?: 'bool'
  /** The cotangents of both operands before the sums over broadcast axes; absent where no gradient flows. */
  readonly slopes?: readonly [Slope, Slope]
  /** What the operation does to integers known from shapes. */
  readonly dims?: (a: Dim, b: Dim) => Dim | undefined
}

/** Compares extents, of which a multiple of the batch size is at least 1 and otherwise not known. */
const compareDims = (holds: (a: number, b: number) => boolean) => (a: Dim, b: Dim): number | undefined => {
  if (!isBatch(a) && !isBatch(b)) return holds(a, b) ? 1 : 0
  if (isBatch(a) && isBatch(b)) return sameDim(a, b) ? (holds(1, 1) ? 1 : 0) : undefined
  // What holds for the smallest and for an infinite number of examples, and for no number between them otherwise.
  const [least, most] = [1, Infinity].map(size => holds(isBatch(a) ? size : a, isBatch(b) ? size : b))
  const other = isBatch(a) ? b : a
  return least === most && (typeof other === 'number' && other <= 1) ? (least ? 1 : 0) : undefined
}

function binary(op: string, { row, kernel, result, slopes, dims }: Definition): Operator {
  return {
    op,
    infer(node, inputs) {
      const a = requiredInput(node, inputs, 0)
      const b = requiredInput(node, inputs, 1)
      const known = dims === undefined ? undefined : combineDims(a, b, dims)
      return [{ dtype: result ?? a.dtype, shape: broadcastDims(node, a.shape, b.shape),
        ...(known === undefined ? {} : { dims: known }) }]
    },
    run(node, inputs, context) {
      return [applyRow(row, requiredInput(node, inputs, 0), requiredInput(node, inputs, 1), context, result, kernel)]
    },
    backward: context => (slopes === undefined
      ? [undefined, undefined]
      : slopes.map((slope, i) => operandCotangent(context, slope, i))),
  }
}

function applyRow(row: BinaryRow, a: Tensor, b: Tensor, context: KernelContext, result: DType = a.dtype,
  kernel?: Arithmetic): Tensor {
  const plan = broadcastPlan(a.shape, b.shape)
  const data = context.allocate(result, plan.shape.reduce((size, extent) => size * extent, 1))
  if (kernel === undefined || !combineInKernel(kernel, plan, a.data, b.data, data)) {
    runBinary(row, plan, a.data, b.data, data)
  }
  return { dtype: result, shape: plan.shape, data }
}

/** @returns false, and nothing is done, where the kernels cannot */
function combineInKernel(kernel: Arithmetic, plan: BroadcastPlan, a: TensorData, b: TensorData,
  out: TensorData): boolean {
  if (a instanceof Uint8Array || b instanceof Uint8Array || out instanceof Uint8Array) return false
  const last = plan.extents.length - 1
  const [left, right] = [{ array: a, step: plan.strides[0][last] }, { array: b, step: plan.strides[1][last] }]
  return combineRows(kernel, plan.extents[last], left, right, out, visit => {
    forEachRow(plan, ([ai, bi], at) => {
      visit(ai, bi, at)
    })
  })
}

function operandCotangent({ builder, node, inputs, cotangents: [cotangent], needs, unbroadcast }: BackwardContext,
  slope: Slope, i: number): string | undefined {
  const input = inputs[i]
  if (cotangent === undefined || !needs[i] || input === undefined || !isFloat(input.dtype)) return undefined
  return unbroadcast(
    slope(expression(builder), { a: node.inputs[0], b: node.inputs[1], y: node.outputs[0] }, cotangent),
    input,
  )
}

/** Shape arithmetic: elements that are multiples of the batch size are kept as such where that is possible. */
function combineDims(a: InferredValue, b: InferredValue, combine: (a: Dim, b: Dim) => Dim | undefined):
  | Dim[]
  | undefined {
  const [left, right] = [knownDims(a), knownDims(b)]
  if (left === undefined || right === undefined || a.shape.length > 1 || b.shape.length > 1 ||
    (left.length !== right.length && left.length !== 1 && right.length !== 1)) return undefined
  const results = Array.from({ length: Math.max(left.length, right.length) },
    (_, i) => combine(left[left.length === 1 ? 0 : i], right[right.length === 1 ? 0 : i]))
  return results.every((dim): dim is Dim => dim !== undefined) ? results : undefined
}

function multiplyDims(a: Dim, b: Dim): Dim | undefined {
  if (!isBatch(a)) return isBatch(b) ? { outer: a * b.outer, inner: b.inner } : a * b
  return isBatch(b) ? undefined : { outer: a.outer, inner: a.inner * b }
}

function divideDims(a: Dim, b: Dim): Dim | undefined {
  if (isBatch(b)) {
    return isBatch(a) && a.outer * a.inner % (b.outer * b.inner) === 0
      ? a.outer * a.inner / (b.outer * b.inner)
      : undefined
  }
  if (!isBatch(a)) return Math.trunc(a / b)
  if (a.inner % b === 0) return { outer: a.outer, inner: a.inner / b }
  return a.outer * a.inner % b === 0 ? { outer: 1, inner: a.outer * a.inner / b } : undefined
}

const addition: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] + b[bi]
}
const subtraction: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] - b[bi]
}
const product: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] * b[bi]
}
const quotient: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] / b[bi]
}
const integerQuotient: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = Math.trunc(a[ai] / b[bi])
}
const maximum: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = Math.max(a[ai], b[bi])
}
const minimum: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = Math.min(a[ai], b[bi])
}
const slopeBelowZero: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] < 0 ? a[ai] * b[bi] : a[ai]
}
/** The remainder with the divisor's sign: an infinite divisor leaves the dividend, or itself where signs differ. */
const remainder: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) {
    const [dividend, divisor] = [a[ai], b[bi]]
    // Of places, which are small whole numbers, the processor has an instruction.
    const rest = dividend === (dividend | 0) && divisor === (divisor | 0)
      ? (dividend | 0) % (divisor | 0)
      : dividend % divisor
    out[oi + i] = rest !== 0 && rest < 0 !== divisor < 0 ? rest + divisor : rest
  }
}
const truncatedRemainder: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] % b[bi]
}

/** Squares are by far the most frequent power. */
const power: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  if (bs === 0 && b[bi] === 2) { for (let i = 0; i < n; i++, ai += as) out[oi + i] = a[ai] * a[ai] }
  else for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = Math.pow(a[ai], b[bi])
}

const integerPower: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = Math.trunc(Math.pow(a[ai], b[bi]))
}

// One loop each: a shared loop with a predicate would be several times slower.
const greater: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] > b[bi] ? 1 : 0
}
const greaterOrEqual: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] >= b[bi] ? 1 : 0
}
const less: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] < b[bi] ? 1 : 0
}
const lessOrEqual: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] <= b[bi] ? 1 : 0
}
const equal: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] === b[bi] ? 1 : 0
}
const and: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] !== 0 && b[bi] !== 0 ? 1 : 0
}
const or: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = a[ai] !== 0 || b[bi] !== 0 ? 1 : 0
}
const xor: BinaryRow = (n, a, ai, as, b, bi, bs, out, oi) => {
  for (let i = 0; i < n; i++, ai += as, bi += bs) out[oi + i] = (a[ai] !== 0) !== (b[bi] !== 0) ? 1 : 0
}

const arithmetic: readonly Operator[] = [
  binary('Add', { row: addition, kernel: 'add', slopes: [(_e, _v, c) => c, (_e, _v, c) => c],
    dims: (a, b) => (isBatch(a) || isBatch(b) ? undefined : a + b) }),
  binary('Sub', { row: subtraction, kernel: 'subtract', slopes: [(_e, _v, c) => c, (e, _v, c) => e.apply('Neg', c)],
    dims: (a, b) => (isBatch(a) || isBatch(b) ? undefined : a - b) }),
  binary('Mul', { row: product, kernel: 'multiply',
    slopes: [(e, { b }, c) => e.mul(c, b), (e, { a }, c) => e.mul(c, a)], dims: multiplyDims }),
  // The slope's shape is broadcast to the input's only, so the output has the input's shape.
  binary('PRelu', {
    row: slopeBelowZero,
    slopes: [
      (e, { a, b }, c) => e.mul(c, e.add(e.indicator('GreaterOrEqual', a, 0), e.mul(e.indicator('Less', a, 0), b))),
      (e, { a }, c) => e.mul(c, e.sub(a, e.apply('Relu', a))),
    ],
  }),
]

const floatPower = binary('Pow', {
  row: power,
  slopes: [
    (e, { a, b }, c) => e.mul(c, e.mul(b, e.pow(a, e.sub(b, 1)))),
    (e, { a, y }, c) => e.mul(c, e.mul(y, e.apply('Log', a))),
  ],
})

/** Powers of integers are integers, whatever the exponents are: fractions are cut off. */
const powers: Operator = {
  ...floatPower,
  run: (node, inputs, context) => [
    applyRow(inputs[0]?.dtype === 'int64' ? integerPower : power, requiredInput(node, inputs, 0),
      requiredInput(node, inputs, 1), context),
  ],
}

const floatDivision = binary('Div', {
  row: quotient,
  kernel: 'divide',
  slopes: [(e, { b }, c) => e.div(c, b), (e, { b, y }, c) => e.apply('Neg', e.mul(c, e.div(y, b)))],
  dims: divideDims,
})

/** Integers are divided towards zero. */
const division: Operator = {
  ...floatDivision,
  run: (node, inputs, context) => (inputs[0]?.dtype === 'int64'
    ? [applyRow(integerQuotient, inputs[0], requiredInput(node, inputs, 1), context)]
    : floatDivision.run(node, inputs, context)),
}

/** y = a - b k, with a number k that is whole and does not change with either. */
const modulus = binary('Mod', { row: remainder,
  slopes: [(_e, _v, c) => c, (e, { a, b, y }, c) => e.mul(c, e.div(e.sub(y, a), b))] })

/** `fmod` 1 takes the sign of the dividend, otherwise the result has the sign of the divisor. */
const modulo: Operator = {
  ...modulus,
  run: (node, inputs, context) => [
    applyRow(numberAttribute(node, 'fmod', 0) === 1 ? truncatedRemainder : remainder, requiredInput(node, inputs, 0),
      requiredInput(node, inputs, 1), context),
  ],
}

/** Max, Min, Sum and Mean of any number of operands. */
function variadic(op: string, row: BinaryRow,
  slope: (e: Expression, i: number, cotangent: string, context: BackwardContext) => string, mean = false): Operator {
  return {
    op,
    infer(node, inputs) {
      const values = inputs.map((_, i) => requiredInput(node, inputs, i))
      return [{ dtype: requiredInput(node, values, 0).dtype,
        shape: broadcastDims(node, ...values.map(value => value.shape)) }]
    },
    run(node, inputs, context) {
      let result = requiredInput(node, inputs, 0)
      for (let i = 1; i < inputs.length; i++) result = applyRow(row, result, requiredInput(node, inputs, i), context)
      if (mean && inputs.length > 1) {
        const data = result.data
        for (let i = 0; i < data.length; i++) data[i] /= inputs.length
      }
      return [result]
    },
    backward(context) {
      return context.inputs.map((_, i) => operandCotangent(context, (e, _values, c) => slope(e, i, c, context), i))
    },
  }
}

/**
 * Operands that attain an extreme together share its cotangent, as in torch's maximum and minimum. A limit that is
 * attained takes nothing away, as in its clamp: limits are constants.
 */
function shareOfExtreme(e: Expression, operand: number, cotangent: string,
  { builder, node, inputs }: BackwardContext): string {
  const attained = node.inputs.map(name => e.indicator('Equal', name, node.outputs[0]))
  const own = attained[operand]
  const others = attained.filter((_, i) => i !== operand && inputs[i]?.constant === undefined)
  if (others.length === 0) return e.mul(cotangent, own)
  // None of them where a limit is attained alone.
  const count = builder.node('Max', [others.reduce((sum, each) => e.add(sum, each), own), builder.scalar(1)])
  return e.mul(cotangent, e.div(own, count))
}

const variadics: readonly Operator[] = [
  variadic('Max', maximum, shareOfExtreme),
  variadic('Min', minimum, shareOfExtreme),
  variadic('Sum', addition, (_e, _i, c) => c),
  variadic('Mean', addition, (e, _i, c, { inputs }) => e.mul(c, 1 / inputs.length), true),
]

/** Limits its input to min .. max, which are optional scalar inputs. */
const clip: Operator = {
  op: 'Clip',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const low = inputs[1] === undefined ? -Infinity : scalarOf(node, inputs[1], 'its minimum')
    const high = inputs[2] === undefined ? Infinity : scalarOf(node, inputs[2], 'its maximum')
    const data = context.allocate(x.dtype, x.data.length)
    for (let i = 0; i < data.length; i++) data[i] = Math.min(high, Math.max(low, x.data[i]))
    return [{ dtype: x.dtype, shape: x.shape, data }]
  },
  backward({ builder, node: { inputs: [x, low = '', high = ''] }, cotangents: [cotangent] }) {
    if (cotangent === undefined) return [undefined]
    const e = expression(builder)
    let result = cotangent
    if (low !== '') result = e.mul(result, e.indicator('Greater', x, low))
    if (high !== '') result = e.mul(result, e.indicator('Less', x, high))
    return [result]
  },
}

/**
 * The first operand times 1 where the second is above a limit (or below it), else times 0. An operator of the engine
 * only, without a derivative: see core/engine/fuse-chains.ts.
 */
const gate: Operator = {
  op: 'Gate',
  infer(node, inputs) {
    const [value, x] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    return [{ dtype: value.dtype, shape: broadcastDims(node, value.shape, x.shape) }]
  },
  run(node, inputs, context) {
    const [value, x] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    const [limit, below] = [numberAttribute(node, 'limit'), numberAttribute(node, 'below') !== 0]
    const plan = broadcastPlan(value.shape, x.shape)
    const data = context.allocate(value.dtype, sizeOf(plan.shape))
    const last = plan.extents.length - 1
    const [steps, count] = [plan.strides.map(stride => stride[last]), plan.extents[last]]
    const eachRow = (visit: (c: number, x: number, out: number) => void): void => {
      forEachRow(plan, ([ci, xi], at) => {
        visit(ci, xi, at)
      })
    }
    const plain = steps.every(step => step === 1) && isReal(value.data) && isReal(x.data) && isReal(data) &&
      gateRows({ limit, below }, count, value.data, x.data, data, eachRow)
    if (!plain) {
      eachRow((ci, xi, at) => {
        for (let i = 0; i < count; i++, ci += steps[0], xi += steps[1]) {
          const passes = below ? x.data[xi] < limit : x.data[xi] > limit
          data[at + i] = value.data[ci] * (passes ? 1 : 0)
        }
      })
    }
    return [{ dtype: value.dtype, shape: plan.shape, data }]
  },
}

function isReal(data: TensorData): data is Float32Array | Float64Array {
  return !(data instanceof Uint8Array)
}

/** Takes elements of the second operand where the first is true, else of the third. */
const where: Operator = {
  op: 'Where',
  infer(node, inputs) {
    const [condition, a, b] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    if (condition.dtype !== 'bool') throw badNode(node, `its condition must be of type bool; it is ${condition.dtype}.`)
    return [{ dtype: a.dtype, shape: broadcastDims(node, condition.shape, a.shape, b.shape),
      ...selectDims(condition, a, b) }]
  },
  run(node, inputs, context) {
    const [condition, a, b] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
    const plan = broadcastPlan(condition.shape, a.shape, b.shape)
    const data = context.allocate(a.dtype, plan.shape.reduce((size, extent) => size * extent, 1))
    const last = plan.extents.length - 1
    const [cs, as, bs] = plan.strides.map(stride => stride[last])
    forEachRow(plan, ([ci, ai, bi], at) => {
      selectRow(plan.extents[last], condition.data, ci, cs, a.data, ai, as, b.data, bi, bs, data, at)
    })
    return [{ dtype: a.dtype, shape: plan.shape, data }]
  },
  backward(context) {
    const condition = context.node.inputs[0]
    const selected: Slope = (e, _values, c) => e.mul(c, e.real(condition))
    const rest: Slope = (e, _values, c) => e.mul(c, e.real(e.apply('Not', condition)))
    return [undefined, operandCotangent(context, selected, 1), operandCotangent(context, rest, 2)]
  },
}

function selectRow(n: number, condition: TensorData, ci: number, cs: number, a: TensorData, ai: number, as: number,
  b: TensorData, bi: number, bs: number, out: TensorData, at: number): void {
  for (let i = 0; i < n; i++, ci += cs, ai += as, bi += bs) out[at + i] = condition[ci] !== 0 ? a[ai] : b[bi]
}

/** Exporters choose between shapes with a constant condition. */
function selectDims(condition: InferredValue, a: InferredValue, b: InferredValue): { dims?: readonly Dim[] } {
  const [truth, yes, no] = [knownDims(condition), knownDims(a), knownDims(b)]
  if (truth === undefined || yes === undefined || no === undefined ||
    Math.max(condition.shape.length, a.shape.length, b.shape.length) > 1) return {}
  const length = Math.max(truth.length, yes.length, no.length)
  const at = (dims: readonly Dim[], i: number): Dim => dims[dims.length === 1 ? 0 : i]
  return { dims: Array.from({ length }, (_, i) => (at(truth, i) !== 0 ? at(yes, i) : at(no, i))) }
}

const comparisons: readonly Operator[] = [
  binary('Greater', { row: greater, result: 'bool', dims: compareDims((a, b) => a > b) }),
  binary('GreaterOrEqual', { row: greaterOrEqual, result: 'bool', dims: compareDims((a, b) => a >= b) }),
  binary('Less', { row: less, result: 'bool', dims: compareDims((a, b) => a < b) }),
  binary('LessOrEqual', { row: lessOrEqual, result: 'bool', dims: compareDims((a, b) => a <= b) }),
  binary('Equal', { row: equal, result: 'bool', dims: compareDims((a, b) => a === b) }),
  binary('And', { row: and, result: 'bool' }),
  binary('Or', { row: or, result: 'bool' }),
  binary('Xor', { row: xor, result: 'bool' }),
]

/** Arithmetic, comparison, logic and selection. */
export const binaryOperators: readonly Operator[] = [...arithmetic, powers, division, modulo, ...variadics, clip, gate,
  where, ...comparisons]
