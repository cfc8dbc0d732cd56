/** @file Short names for the nodes that the formulas of a prediction are made of, in one precision. */
import type { GraphBuilder } from '../graph/builder.js'
import { expression, type Operand } from '../ops/expression.js'
import { type Precision, tensor } from '../tensor/tensor.js'

/** Appends nodes for formulas over rows of examples; a number stands for a scalar constant. */
export interface Formulas {
  readonly builder: GraphBuilder
  readonly precision: Precision
  add(a: Operand, b: Operand): string
  sub(a: Operand, b: Operand): string
  mul(a: Operand, b: Operand): string
  div(a: Operand, b: Operand): string
  max(a: Operand, b: Operand): string
  /** A node of one input without attributes. */
  apply(op: 'Sqrt' | 'Exp' | 'Log' | 'Neg' | 'Abs' | 'Sigmoid' | 'Tanh', a: string): string
  softmax(a: string): string
  matmul(a: string, b: string): string
  /** Along some axes; `keep` leaves them with one element. */
  reduce(op: 'ReduceSum' | 'ReduceSumSquare' | 'ReduceMean' | 'ReduceMax' | 'ReduceMin', a: string,
    axes: readonly number[], keep?: boolean): string
  reshape(a: string, shape: readonly number[]): string
  transpose(a: string, perm: readonly number[]): string
  unsqueeze(a: string, axes: readonly number[]): string
  concat(parts: readonly string[], axis: number): string
  /** Elements of an axis; a number instead of a list takes the axis away. */
  gather(a: string, at: number | readonly number[], axis: number): string
  /** A constant of this precision. */
  matrix(values: ArrayLike<number>, shape: readonly number[]): string
  /** 1 where the comparison holds, else 0. */
  indicator(comparison: string, a: Operand, b: Operand): string
  /** A value of any type in this precision. */
  real(a: string): string
}

/** The formulas of one graph under construction, in a precision of their own. */
export function formulas(builder: GraphBuilder, precision: Precision): Formulas {
  const { add, sub, mul, div, indicator, real } = expression(builder, precision)
  const named = (operand: Operand): string => (typeof operand === 'number'
    ? builder.scalar(operand, precision)
    : operand)
  return {
    builder,
    precision,
    add,
    sub,
    mul,
    div,
    indicator,
    max: (a, b) => builder.node('Max', [named(a), named(b)]),
    apply: (op, a) => builder.node(op, [a]),
    softmax: a => builder.node('Softmax', [a], { axis: -1 }),
    matmul: (a, b) => builder.node('MatMul', [a, b]),
    reduce: (op, a, axes, keep = false) => builder.node(op, [a, builder.integers(axes)], { keepdims: Number(keep) }),
    reshape: (a, shape) => builder.node('Reshape', [a, builder.integers(shape)]),
    transpose: (a, perm) => builder.node('Transpose', [a], { perm }),
    unsqueeze: (a, axes) => builder.node('Unsqueeze', [a, builder.integers(axes)]),
    concat: (parts, axis) => (parts.length === 1 ? parts[0] : builder.node('Concat', parts, { axis })),
    gather: (a, at, axis) =>
      builder.node('Gather', [a, typeof at === 'number'
        ? builder.constant(tensor('int64', [], [at]))
        : builder.integers(at)], { axis }),
    matrix: (values, shape) => builder.constant(tensor(precision, shape, values)),
    real,
  }
}
