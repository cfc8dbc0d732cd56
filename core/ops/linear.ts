/** @file Matrix products: MatMul of operands of any rank and Gemm. */
import type { GraphBuilder } from '../graph/builder.js'
import { BATCH, type BatchDim, type Dim, isBatch, type Node } from '../graph/graph.js'
import { combineRows, rectify } from '../kernels/arithmetic.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { sizeOf, type Tensor, type TensorData } from '../tensor/tensor.js'
import { type BinaryRow, broadcastPlan, forEachRow, runBinary } from './broadcast.js'
import { leadingAxes, sumToShape } from './cotangents.js'
import { isFloat } from './element-types.js'
import { expression } from './expression.js'
import { acrossExamplesError, badNode, batchAxisError, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { exampleRows } from './positions.js'
import { broadcastDims, cotangentTarget, formatDims, sameDim, sameShape } from './shape-rules.js'

/** The matrix product's flags; MatMul has them only inside of the engine, which folds transpositions into products. */
function flags(node: Node): { transA: boolean, transB: boolean, alpha: number, beta: number } {
  return {
    transA: numberAttribute(node, 'transA', 0) !== 0,
    transB: numberAttribute(node, 'transB', 0) !== 0,
    alpha: numberAttribute(node, 'alpha', 1),
    beta: numberAttribute(node, 'beta', 1),
  }
}

function realData(node: Node, value: Tensor): RealArray {
  if (value.data instanceof Uint8Array) throw badNode(node, 'its inputs must be numbers; one is of type bool.')
  return value.data
}

function checkDepth(node: Node, a: Dim, b: Dim, left: readonly Dim[], right: readonly Dim[]): void {
  if (isBatch(a) || isBatch(b)) {
    throw acrossExamplesError(node,
      `the product of ${formatDims(left)} and ${formatDims(right)} sums over the examples.`)
  }
  if (!sameDim(a, b)) {
    throw badNode(node,
      `the inner extents of ${formatDims(left)} and ${formatDims(right)} differ (${String(a)} and ${String(b)}).`)
  }
}

/** The last two axes of an operand as its product sees them. */
function matrixDims(shape: readonly Dim[], transposed: boolean): [Dim, Dim] {
  const [rows, columns] = shape.slice(-2)
  return transposed ? [columns, rows] : [rows, columns]
}

function checkBatchAxes(node: Node, shape: readonly Dim[], left: readonly Dim[], right: readonly Dim[]): void {
  if (shape.filter(isBatch).length > 1) {
    throw batchAxisError(node,
      `the operands ${formatDims(left)} and ${formatDims(right)} carry the examples on different axes.`)
  }
}

function inferMatMul(node: Node, a: InferredValue, b: InferredValue): InferredValue[] {
  const { transA, transB } = flags(node)
  if (a.shape.length === 0 || b.shape.length === 0) throw badNode(node, 'its operands must have at least one axis.')
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape
  const [rows, depth] = matrixDims(left, transA)
  const [depthB, columns] = matrixDims(right, transB)
  checkDepth(node, depth, depthB, a.shape, b.shape)
  const leading = broadcastDims(node, left.slice(0, -2), right.slice(0, -2))
  const shape = [...leading, ...(a.shape.length === 1 ? [] : [rows]), ...(b.shape.length === 1 ? [] : [columns])]
  checkBatchAxes(node, shape, a.shape, b.shape)
  return [{ dtype: a.dtype, shape }]
}

/**
 * out = alpha op(A) op(B), matrix by matrix over broadcast leading axes; one product where B is a single matrix.
 * @param start fills the result with what the product is added to; without it that is 0
 */
function runMatMul(node: Node, inputs: readonly (Tensor | undefined)[], context: KernelContext,
  start?: (out: RealArray) => void): Tensor {
  const [a, b] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
  const { transA, transB, alpha } = flags(node)
  const left = a.shape.length === 1 ? [1, a.shape[0]] : a.shape
  const right = b.shape.length === 1 ? [b.shape[0], 1] : b.shape
  const [rows, depth] = matrixDims(left, transA) as [number, number]
  const [depthB, columns] = matrixDims(right, transB) as [number, number]
  if (depth !== depthB) throw badNode(node, `the inner extents ${depth} and ${depthB} differ.`)
  const plan = broadcastPlan(left.slice(0, -2), right.slice(0, -2))
  const shape = [...plan.shape, ...(a.shape.length === 1 ? [] : [rows]), ...(b.shape.length === 1 ? [] : [columns])]
  const data = context.allocate(a.dtype, sizeOf(shape))
  start?.(data as RealArray)
  const factors = { transA, transB, alpha, beta: start === undefined ? 0 : 1 }
  const size = { rows, columns, depth }
  const single = sizeOf(right.slice(0, -2)) === 1 && !transA
  if (single) multiply(node, factors, { ...size, rows: rows * sizeOf(plan.shape) }, a, b, data)
  else multiplyEach(node, factors, size, plan, a, b, data)
  return { dtype: a.dtype, shape, data }
}

const matMul: Operator = {
  op: 'MatMul',
  infer: (node, inputs) => inferMatMul(node, requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)),
  run: (node, inputs, context) => [runMatMul(node, inputs, context)],
  backward: matMulBackward,
}

/** A product with a bias, a value of its shape that is added to it, and a rectifier. */
const fusedMatMul: Operator = {
  op: 'FusedMatMul',
  infer: matMul.infer,
  run(node, inputs, context) {
    const [bias, added] = [inputs[2], inputs[3]]
    const start = (out: RealArray): void => {
      if (added === undefined && bias !== undefined) repeatRow(bias.data, out)
      else if (added !== undefined && bias !== undefined) addToRows(added, bias, out)
      else if (added !== undefined) out.set(added.data)
    }
    const result = runMatMul(node, inputs, context, bias === undefined && added === undefined ? undefined : start)
    const out = result.data as RealArray
    if (numberAttribute(node, 'rectified', 0) !== 0 && !rectify(out, out)) {
      for (let i = 0; i < out.length; i++) if (out[i] < 0) out[i] = 0
    }
    return [result]
  },
}

/** out = x with the row added to each of its rows. */
function addToRows(x: Tensor, row: Tensor, out: RealArray): void {
  const columns = row.data.length
  const operands = [{ array: x.data as RealArray, step: 1 }, { array: row.data as RealArray, step: 1 }] as const
  if (combineRows('add', columns, ...operands, out, visit => {
    for (let i = 0; i < out.length; i += columns) visit(i, 0, i)
  })) return
  for (let i = 0; i < out.length; i++) out[i] = x.data[i] + row.data[i % columns]
}

interface Flags {
  readonly transA: boolean
  readonly transB: boolean
  readonly alpha: number
  readonly beta: number
}
interface Size {
  readonly rows: number
  readonly columns: number
  readonly depth: number
}

function multiply(node: Node, { transA, transB, alpha, beta }: Flags, { rows, columns, depth }: Size, a: Tensor,
  b: Tensor, out: TensorData): void {
  gemm(transA, transB, rows, columns, depth, alpha, realData(node, a), realData(node, b), beta, out as RealArray)
}

function multiplyEach(node: Node, { transA, transB, alpha, beta }: Flags, { rows, columns, depth }: Size,
  plan: ReturnType<typeof broadcastPlan>, a: Tensor, b: Tensor, out: TensorData): void {
  const [left, right, result] = [realData(node, a), realData(node, b), out as RealArray]
  const last = plan.extents.length - 1
  const [sizeA, sizeB, sizeC] = [rows * depth, depth * columns, rows * columns]
  forEachRow(plan, ([fromA, fromB], at) => {
    for (let i = 0; i < plan.extents[last]; i++) {
      const atA = (fromA + i * plan.strides[0][last]) * sizeA
      const atB = (fromB + i * plan.strides[1][last]) * sizeB
      const atC = (at + i) * sizeC
      gemm(transA, transB, rows, columns, depth, alpha, left.subarray(atA, atA + sizeA),
        right.subarray(atB, atB + sizeB), beta, result.subarray(atC, atC + sizeC))
    }
  })
}

/** An operand as a value, as the value with its last two axes exchanged, or both. */
interface Operand {
  readonly shape: readonly Dim[]
  readonly value?: string
  readonly swapped?: string
}

function swap({ shape, value, swapped }: Operand): Operand {
  return { shape: swapShape(shape), ...(swapped === undefined ? {} : { value: swapped }),
    ...(value === undefined ? {} : { swapped: value }) }
}

function swapShape(shape: readonly Dim[]): Dim[] {
  return [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]]
}

/** The operand's name; `lead` counts the axes in front of its shape. */
function use(builder: GraphBuilder, { shape, value, swapped = '' }: Operand, lead = 0): string {
  if (value !== undefined) return value
  const rank = lead + shape.length
  const perm = [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2]
  return builder.node('Transpose', [swapped], { perm })
}

function product(builder: GraphBuilder, a: string, b: string): string {
  return builder.node('MatMul', [a, b])
}

/** The cotangent of A in Y = A B, given that of Y: G B', summed over broadcast axes. */
function leftCotangent(builder: GraphBuilder, a: Operand, b: Operand, g: Operand): string {
  // The examples are the columns of Y: they must be kept apart in the gradient of A, as in the transposed product.
  if (isBatch(g.shape[g.shape.length - 1])) {
    const swapped = rightCotangent(builder, swap(b), swap(a), swap(g))
    return use(builder, { swapped, shape: a.shape }, leadingAxes(a.shape))
  }
  const shape = [...g.shape.slice(0, -1), a.shape[a.shape.length - 1]]
  return sumToShape(builder, product(builder, use(builder, g, leadingAxes(g.shape)), use(builder, swap(b))), shape,
    a.shape)
}

/** The cotangent of B in Y = A B, given that of Y: A' G, summed over broadcast axes. */
function rightCotangent(builder: GraphBuilder, a: Operand, b: Operand, g: Operand): string {
  const batchRow = g.shape[g.shape.length - 2]
  if (b.shape.length === 2 && !b.shape.some(isBatch) && a.shape.some(isBatch)) {
    const rows = exampleRows(builder, use(builder, a), a.shape, false)
    return product(builder, builder.node('Transpose', [rows], { perm: [0, 2, 1] }),
      exampleRows(builder, use(builder, g, 1), g.shape, true))
  }
  if (isBatch(batchRow)) return stackedRightCotangent(builder, a, b, g, batchRow)
  const shape = [...g.shape.slice(0, -2), ...b.shape.slice(-2)]
  return sumToShape(builder, product(builder, use(builder, swap(a)), use(builder, g, leadingAxes(g.shape))), shape,
    b.shape)
}

/**
 * The examples are the rows of A and B is a stack of matrices: the rows are split into outer x N matrices of `inner`
 * rows.
 */
function stackedRightCotangent(builder: GraphBuilder, a: Operand, b: Operand, g: Operand,
  { outer, inner }: BatchDim): string {
  const [left, right] = [a.shape.slice(0, -2), g.shape.slice(0, -2)] as number[][]
  const [depth, columns] = b.shape.slice(-2) as number[]
  const splitA = builder.node('Reshape', [use(builder, a), builder.integers([...left, outer, -1, inner, depth])])
  const splitG = builder.node('Reshape', [use(builder, g, 1),
    builder.integers([0, ...right, outer, -1, inner, columns])])
  const operand = { value: splitA, shape: [...left, outer, BATCH, inner, depth] }
  const to = [...b.shape.slice(0, -2), 1, 1, depth, columns]
  const summed = sumToShape(builder, product(builder, use(builder, swap(operand)), splitG), [...right, outer, BATCH,
    depth, columns], to)
  return builder.node('Reshape', [summed, builder.integers(cotangentTarget(b))])
}

/** A vector operand takes part in a product as a matrix of one row (left) or one column (right). */
function asMatrix(builder: GraphBuilder, value: string, shape: readonly Dim[], axis: number): Operand {
  if (shape.length > 1) return { value, shape }
  return { value: builder.node('Unsqueeze', [value, builder.integers([axis])]),
    shape: axis === 0 ? [1, ...shape] : [...shape, 1] }
}

function matMulBackward(
  { builder, node, inputs: [a, b], outputs: [y], cotangents: [cotangent], needs, lead }: BackwardContext,
): (string | undefined)[] {
  if (cotangent === undefined || a === undefined || b === undefined || !isFloat(a.dtype)) return [undefined, undefined]
  const left = asMatrix(builder, node.inputs[0], a.shape, 0)
  const right = asMatrix(builder, node.inputs[1], b.shape, 1)
  const added = [...(a.shape.length === 1 ? [-2] : []), ...(b.shape.length === 1 ? [-1] : [])]
  // With both axes added the row axis is the last but one; alone, a row axis goes before the columns.
  const value = added.length === 0 ? cotangent : builder.node('Unsqueeze', [cotangent, builder.integers(added)])
  const rows = a.shape.length === 1 ? [1] : []
  const shape = b.shape.length === 1
    ? [...y.shape, ...rows, 1]
    : a.shape.length === 1
    ? [...y.shape.slice(0, -1), 1, y.shape[y.shape.length - 1]]
    : y.shape
  const g = { value, shape }
  const back = (gradient: string, operand: InferredValue): string => (operand.shape.length > 1
    ? gradient
    : builder.node('Squeeze', [gradient, builder.integers([lead(operand) + (operand === a ? 0 : 1)])]))
  return [
    needs[0] ? back(leftCotangent(builder, left, right, g), a) : undefined,
    needs[1] ? back(rightCotangent(builder, left, right, g), b) : undefined,
  ]
}

/** Gemm's third input, broadcast to the result: out = beta C. */
function copyScaled(beta: number): BinaryRow {
  return (n, c, ci, cs, _b, _bi, _bs, out, oi) => {
    for (let i = 0; i < n; i++, ci += cs) out[oi + i] = beta * c[ci]
  }
}

/** The same row again and again, twice as many rows with each copy. */
function repeatRow(row: TensorData, out: TensorData): void {
  if (out.length === 0) return
  out.set(row)
  for (let done = row.length; done < out.length; done *= 2) out.copyWithin(done, 0, Math.min(done, out.length - done))
}

/** Y = alpha op(A) op(B) + beta C for matrices A and B. */
const gemmOperator: Operator = {
  op: 'Gemm',
  infer(node, inputs) {
    const [a, b, c] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1), inputs[2]]
    if (a.shape.length !== 2 || b.shape.length !== 2) {
      throw badNode(node, `its operands must be matrices; they are ${formatDims(a.shape)} and ${formatDims(b.shape)}.`)
    }
    const [value] = inferMatMul(node, a, b)
    if (c === undefined) return [value]
    const shape = broadcastDims(node, value.shape, c.shape)
    if (!sameShape(shape, value.shape)) {
      throw badNode(node,
        `its third input of shape ${formatDims(c.shape)} cannot be added to ${formatDims(value.shape)}.`)
    }
    return [value]
  },
  run(node, inputs, context) {
    const [a, b, c] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1), inputs[2]]
    const { transA, transB, alpha, beta } = flags(node)
    const [rows, depth] = matrixDims(a.shape, transA) as [number, number]
    const columns = b.shape[transB ? 0 : 1]
    const data = context.allocate(a.dtype, rows * columns)
    const shape = [rows, columns]
    if (c !== undefined && beta === 1 && c.shape.at(-1) === columns && c.data.length === columns) {
      repeatRow(c.data, data)
    } else if (c !== undefined) runBinary(copyScaled(beta), broadcastPlan(c.shape, shape), c.data, data, data)
    gemm(transA, transB, rows, columns, depth, alpha, realData(node, a), realData(node, b), c === undefined ? 0 : 1,
      data as RealArray)
    return [{ dtype: a.dtype, shape, data }]
  },
  backward({ builder, node, inputs: [a, b, c], outputs: [y], cotangents: [cotangent], needs, unbroadcast }) {
    if (cotangent === undefined || a === undefined || b === undefined) return []
    const { transA, transB, alpha, beta } = flags(node)
    const e = expression(builder)
    const oriented = (value: string, shape: readonly Dim[],
      transposed: boolean): Operand => (transposed ? { swapped: value, shape: swapShape(shape) } : { value, shape })
    const scaled = (factor: number): string => (factor === 1 ? cotangent : e.mul(cotangent, factor))
    const left = (): Operand => oriented(node.inputs[0], a.shape, transA)
    const right = (): Operand => oriented(node.inputs[1], b.shape, transB)
    const result = (gradient: string, shape: readonly Dim[],
      transposed:
        boolean): string => (transposed ? use(builder, { swapped: gradient, shape }, leadingAxes(shape)) : gradient)
    const g = needs[0] || needs[1] ? { value: scaled(alpha), shape: y.shape } : undefined
    return [
      needs[0] && g !== undefined ? result(leftCotangent(builder, left(), right(), g), a.shape, transA) : undefined,
      needs[1] && g !== undefined ? result(rightCotangent(builder, left(), right(), g), b.shape, transB) : undefined,
      needs[2] && c !== undefined ? unbroadcast(scaled(beta), c) : undefined,
    ]
  },
}

/** Matrix products. */
export const linearOperators: readonly Operator[] = [matMul, fusedMatMul, gemmOperator]
