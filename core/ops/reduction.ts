/** @file Reductions over axes: sums, means, extremes, products, norms. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { addInPlace } from '../kernels/arithmetic.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { sumRows, sumSquares } from '../kernels/rows.js'
import { sizeOf, type Tensor, type TensorData } from '../tensor/tensor.js'
import { isFloat } from './element-types.js'
import { type Expression, expression } from './expression.js'
import { acrossExamplesError, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { constantIntegers, cotangentTarget, formatDims, resolveAxis, sameShape } from './shape-rules.js'

/** The axes that are reduced: the second input, or all of them. */
function reducedAxes(node: Node, axes: readonly number[] | undefined, rank: number): Set<number> {
  if (axes === undefined || axes.length === 0) {
    return numberAttribute(node, 'noop_with_empty_axes', 0) !== 0
      ? new Set()
      : new Set(Array.from({ length: rank }, (_, i) => i))
  }
  return new Set(axes.map(axis => resolveAxis(node, axis, rank)))
}

function axesOf(node: Node, inputs: readonly (InferredValue | undefined)[]): Set<number> {
  const axes = inputs[1] === undefined ? undefined : constantIntegers(node, inputs[1], 'axes')
  return reducedAxes(node, axes, requiredInput(node, inputs, 0).shape.length)
}

function reducedShape<D extends Dim>(node: Node, shape: readonly D[], axes: ReadonlySet<number>): (D | 1)[] {
  const keep = numberAttribute(node, 'keepdims', 1) !== 0
  return keep ? shape.map((dim, axis) => (axes.has(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.has(axis))
}

type Accumulate = (n: number, x: TensorData, from: number, step: number, out: TensorData, to: number,
  toStep: number) => void

/** The innermost loop of a sum: along the reduced axis, or element by element across it. */
const addAlong: Accumulate = (n, x, from, step, out, to, toStep) => {
  if (toStep === 0) {
    let sum = out[to]
    for (let i = 0; i < n; i++, from += step) sum += x[from]
    out[to] = sum
  } else for (let i = 0; i < n; i++, from += step, to += toStep) out[to] += x[from]
}

function reduceInto(x: Tensor, axes: ReadonlySet<number>, out: TensorData, accumulate: Accumulate): void {
  const kept = x.shape.map((extent, axis) => (axes.has(axis) ? 1 : extent))
  const steps = kept.map((extent, axis) => (extent === 1 ? 0 : sizeOf(kept.slice(axis + 1))))
  const rank = x.shape.length
  const inner = rank === 0 ? 1 : x.shape[rank - 1]
  const index = new Array<number>(Math.max(0, rank - 1)).fill(0)
  let to = 0
  for (let from = 0; from < x.data.length; from += inner) {
    accumulate(inner, x.data, from, 1, out, to, rank === 0 ? 0 : steps[rank - 1])
    for (let axis = rank - 2; axis >= 0; axis--) {
      to += steps[axis]
      if (++index[axis] < x.shape[axis]) break
      to -= steps[axis] * x.shape[axis]
      index[axis] = 0
    }
  }
}

/**
 * A reduction: out starts at `initial`, takes in every element, and is finished; `count` is the number of elements of
 * each sum.
 */
interface Definition {
  readonly initial: number
  /** The accumulation; `x` is the whole input, for reductions that look at it twice. */
  readonly accumulate: (reduce: (initial: number, accumulate: Accumulate) => TensorData) => Accumulate
  readonly finish?: (value: number, count: number) => number
  /**
   * The cotangent of x, given those values with axes of one element where they were reduced: c of the result, y the
   * result.
   */
  readonly slope: (e: Expression,
    values: { readonly c: string, readonly x: string, readonly y: string, readonly count: number },
    context: BackwardContext) => string
}

function reduction(op: string, { initial, accumulate, finish, slope }: Definition): Operator {
  return {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      const axes = axesOf(node, inputs)
      if (x.shape.some((dim, axis) => isBatch(dim) && axes.has(axis))) {
        throw acrossExamplesError(node, `it reduces the batch axis of a value of shape ${formatDims(x.shape)}.`)
      }
      return [{ dtype: x.dtype, shape: reducedShape(node, x.shape, axes) }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const axes = reducedAxes(node, inputs[1] === undefined ? undefined : Array.from(inputs[1].data), x.shape.length)
      const shape = reducedShape(node, x.shape, axes)
      const summed = sumTrailing(op, x, axes, shape, context) ?? sumLeading(op, x, axes, shape, context)
      if (summed !== undefined) return [summed]
      const reduce = (first: number, step: Accumulate): TensorData => {
        const out = context.allocate(x.dtype, sizeOf(shape)).fill(first)
        reduceInto(x, axes, out, step)
        return out
      }
      // The infinite ones cannot be stored as truth values.
      const data = reduce(x.dtype === 'bool' ? Math.min(1, Math.max(0, initial)) : initial, accumulate(reduce))
      if (finish !== undefined) {
        const count = x.data.length / data.length
        for (let i = 0; i < data.length; i++) data[i] = finish(data[i], count)
      }
      return [{ dtype: x.dtype, shape, data }]
    },
    backward(context) {
      const { builder, node, inputs, outputs: [y], cotangents: [cotangent] } = context
      const [x] = inputs
      if (cotangent === undefined || x === undefined || !isFloat(x.dtype)) return [undefined]
      const axes = axesOf(node, inputs)
      const shape = x.shape.map((dim, axis) => (axes.has(axis) ? 1 : dim))
      const kept = sameShape(shape, y.shape)
      const c = kept ? cotangent : builder.node('Reshape', [cotangent, builder.integers(cotangentTarget({ shape }))])
      const result = kept
        ? node.outputs[0]
        : builder.node('Reshape', [node.outputs[0], builder.integers(shape.map(dim => (isBatch(dim) ? -1 : dim)))])
      const count = sizeOf(x.shape.map((dim, axis) => (axes.has(axis) && !isBatch(dim) ? dim : 1)))
      return [slope(expression(builder), { c, x: node.inputs[0], y: result, count }, context)]
    },
  }
}

/** Sums and means over the last axes, which are rows, where the kernels have them. */
function sumTrailing(op: string, x: Tensor, axes: ReadonlySet<number>, shape: readonly number[],
  context: KernelContext): Tensor | undefined {
  if ((op !== 'ReduceSum' && op !== 'ReduceMean') || !isFloat(x.dtype) || x.data.length === 0) return undefined
  const first = x.shape.length - axes.size
  if (!x.shape.every((_, axis) => axes.has(axis) === axis >= first)) return undefined
  const width = sizeOf(x.shape.slice(first))
  if (width < SHORT_ROW) return undefined
  const data = context.allocate(x.dtype, sizeOf(shape)) as RealArray
  return sumRows(width, op === 'ReduceMean' ? 1 / width : 1, x.data as RealArray, data)
    ? { dtype: x.dtype, shape, data }
    : undefined
}

/** Rows that are shorter are summed as soon by a loop. */
const SHORT_ROW = 8

/** Numbers of a sum over whole slices that stay in the inner cache while all of them are added. */
const SLICE = 4096
/** Shorter slices are summed as soon by a loop. */
const SHORT_SLICE = 128

/** Sums, plain or of squares, over neighbouring axes before the last: of whole slices, where the kernels add them. */
function sumLeading(op: string, x: Tensor, axes: ReadonlySet<number>, shape: readonly number[], context: KernelContext):
  | Tensor
  | undefined {
  const first = Math.min(...axes)
  const width = sizeOf(x.shape.slice(first + axes.size))
  if ((op !== 'ReduceSum' && op !== 'ReduceSumSquare') || !isFloat(x.dtype) || width < SHORT_SLICE) return undefined
  if (!x.shape.every((_, axis) => axes.has(axis) === (axis >= first && axis < first + axes.size))) return undefined
  const [from, data] = [x.data as RealArray, context.allocate(x.dtype, sizeOf(shape)) as RealArray]
  if (op === 'ReduceSumSquare') {
    return sumSquares(width, from, data) ? { dtype: x.dtype, shape, data } : undefined
  }
  const block = width * sizeOf(x.shape.slice(first, first + axes.size))
  for (let to = 0, at = 0; to < data.length; to += width, at += block) {
    sumSlices(from.subarray(at, at + block), data.subarray(to, to + width))
  }
  return { dtype: x.dtype, shape, data }
}

/** The sum of slices that lie one behind another. */
function sumSlices(slices: RealArray, sum: RealArray): void {
  for (let at = 0; at < sum.length; at += SLICE) {
    const end = Math.min(sum.length, at + SLICE)
    const own = sum.subarray(at, end).fill(0)
    for (let slice = 0; slice < slices.length; slice += sum.length) {
      addInPlace(own, slices.subarray(slice + at, slice + end))
    }
  }
}

/** Every summand gets the sum's cotangent. */
function repeat({ builder, node, inputs, lead }: BackwardContext, cotangent: string): string {
  const x = requiredInput(node, inputs, 0)
  const axes = axesOf(node, inputs)
  const extents = x.shape.map((dim, axis) => (axes.has(axis) && !isBatch(dim) ? dim : 1))
  return builder.node('Expand', [cotangent, builder.integers([...new Array<number>(lead(x)).fill(1), ...extents])])
}

/** Adds f of every element. */
function addEach(f: (value: number) => number): () => Accumulate {
  return () => (n, x, from, step, out, to, toStep) => {
    for (let i = 0; i < n; i++, from += step, to += toStep) out[to] += f(x[from])
  }
}

/** Keeps the largest (sign 1) or smallest (-1) element; a NaN wins. */
function extreme(sign: 1 | -1): Accumulate {
  return (n, x, from, step, out, to, toStep) => {
    for (let i = 0; i < n; i++, from += step, to += toStep) {
      if (!(sign * x[from] <= sign * out[to]) && !Number.isNaN(out[to])) out[to] = x[from]
    }
  }
}

const multiplyEach: Accumulate = (n, x, from, step, out, to, toStep) => {
  for (let i = 0; i < n; i++, from += step, to += toStep) out[to] *= x[from]
}

/** log sum e^x = m + log sum e^(x - m) for the maximum m. */
const logSumExp: Definition['accumulate'] = reduce => {
  const most = reduce(-Infinity, extreme(1))
  for (let i = 0; i < most.length; i++) if (!Number.isFinite(most[i])) most[i] = 0
  const sums = reduce(0, (n, x, from, step, out, to, toStep) => {
    for (let i = 0; i < n; i++, from += step, to += toStep) out[to] += Math.exp(x[from] - most[to])
  })
  // One element after the other arrives at its sum; the last one leaves the result.
  return (n, _x, _from, _step, out, to, toStep) => {
    for (let i = 0; i < n; i++, to += toStep) out[to] = most[to] + Math.log(sums[to])
  }
}

/** Elements that attain an extreme together share its cotangent: copies get in all what one of them would get alone. */
const atExtreme: Definition['slope'] = (e, { c, x, y }, { builder, node, inputs }) => {
  const attained = e.indicator('Equal', x, y)
  const axes = builder.integers([...axesOf(node, inputs)])
  const count = builder.node('ReduceSum', [attained, axes], { keepdims: 1, noop_with_empty_axes: 1 })
  return e.mul(c, e.div(attained, count))
}

/**
 * c times the product of the other elements, without a division by 0: where one element is 0, only its own is not 0;
 * where several are, all are.
 */
function productOfOthers(e: Expression, { c, x }: { readonly c: string, readonly x: string },
  { builder, node, inputs }: BackwardContext): string {
  const axes = builder.integers([...axesOf(node, inputs)])
  const reduced = (op: string, value: string): string => builder.node(op, [value, axes], { keepdims: 1 })
  const zero = builder.node('Equal', [x, builder.scalar(0)])
  const others = builder.node('Where', [zero, builder.scalar(1), x])
  const product = reduced('ReduceProd', others)
  const zeros = reduced('ReduceSum', e.real(zero))
  const slope = builder.node('Where', [zero, e.mul(e.indicator('Equal', zeros, 1), product),
    e.mul(e.indicator('Equal', zeros, 0), e.div(product, others))])
  return e.mul(c, slope)
}

/** Norms below this number count as zero, where nothing flows. */
const SMALLEST_NORM = 1e-30

/** Reductions. */
export const reductionOperators: readonly Operator[] = [
  reduction('ReduceSum', { initial: 0, accumulate: () => addAlong, slope: (_e, { c }, context) => repeat(context, c) }),
  reduction('ReduceMean', { initial: 0, accumulate: () => addAlong, finish: (sum, count) => sum / count,
    slope: (e, { c, count }, context) => repeat(context, e.mul(c, 1 / count)) }),
  reduction('ReduceMax', { initial: -Infinity, accumulate: () => extreme(1), slope: atExtreme }),
  reduction('ReduceMin', { initial: Infinity, accumulate: () => extreme(-1), slope: atExtreme }),
  reduction('ReduceProd', { initial: 1, accumulate: () => multiplyEach, slope: productOfOthers }),
  reduction('ReduceL1', { initial: 0, accumulate: addEach(Math.abs),
    slope: (e, { c, x }) => e.mul(c, e.apply('Sign', x)) }),
  reduction('ReduceL2', {
    initial: 0,
    accumulate: addEach(value => value * value),
    finish: Math.sqrt,
    slope: (e, { c, x, y }, { builder }) => e.mul(e.div(c, builder.node('Max', [y, builder.scalar(SMALLEST_NORM)])), x),
  }),
  reduction('ReduceSumSquare', { initial: 0, accumulate: addEach(value => value * value),
    slope: (e, { c, x }) => e.mul(c, e.mul(2, x)) }),
  reduction('ReduceLogSum', { initial: 0, accumulate: () => addAlong, finish: Math.log,
    slope: (e, { c, y }, context) => repeat(context, e.mul(c, e.apply('Exp', e.apply('Neg', y)))) }),
  reduction('ReduceLogSumExp', { initial: 0, accumulate: logSumExp,
    slope: (e, { c, x, y }) => e.mul(c, e.apply('Exp', e.sub(x, y))) }),
]
