/** @file Short names for the nodes that derivative rules are made of. A number stands for a scalar constant. */
import type { GraphBuilder } from '../graph/builder.js'
import type { Precision } from '../tensor/tensor.js'
import { elementTypeOf } from './element-types.js'

/** The name of a value, or a scalar constant. */
export type Operand = string | number

/** Appends nodes for formulas: `e.mul('cotangent', e.sub(1, e.mul('y', 'y')))`. */
export interface Expression {
  add(a: Operand, b: Operand): string
  sub(a: Operand, b: Operand): string
  mul(a: Operand, b: Operand): string
  div(a: Operand, b: Operand): string
  pow(a: Operand, b: Operand): string
  /** A node of one input without attributes. */
  apply(op: string, a: Operand): string
  /** 1 where the comparison (`Greater`, `LessOrEqual`, ...) holds, else 0, as a real number. */
  indicator(comparison: string, a: Operand, b: Operand): string
  /** A truth value as a real number. */
  real(truth: string): string
}

/** The formulas of one graph under construction, by default in the builder's precision. */
export function expression(builder: GraphBuilder, precision: Precision = builder.precision): Expression {
  const name = (operand: Operand): string => (typeof operand === 'number'
    ? builder.scalar(operand, precision)
    : operand)
  const binary = (op: string) => (a: Operand, b: Operand): string => builder.node(op, [name(a), name(b)])
  const real = (truth: string): string => builder.node('Cast', [truth], { to: elementTypeOf(precision) })
  return {
    add: binary('Add'),
    sub: binary('Sub'),
    mul: binary('Mul'),
    div: binary('Div'),
    pow: binary('Pow'),
    apply: (op, a) => builder.node(op, [name(a)]),
    indicator: (comparison, a, b) => real(binary(comparison)(a, b)),
    real,
  }
}
