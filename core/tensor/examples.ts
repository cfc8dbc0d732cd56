/** @file Examples as they are given to a network: one array, or several that share the axis of the examples. */
import { demandTensor, rows, type Tensor } from './tensor.js'

/** One of the arrays that make up examples. */
export interface InputArray {
  /** Whose input it is; without a name the place in the list says it. */
  readonly name?: string | undefined
  /** One example a row, N x ... */
  readonly values: Tensor
  /** The names of the columns, where the array is a table, N x columns. */
  readonly columns?: readonly string[] | undefined
}

/** N examples: an array for a network of one input, or a list with an array for each input. */
export type Examples = Tensor | readonly InputArray[]

/** The arrays that examples consist of. @throws DataError BAD_ARRAY for what is no examples */
export function arraysOf(x: Examples): readonly InputArray[] {
  if (!isList(x)) return [{ values: x }]
  for (const [i, array] of x.entries()) demandTensor(`x[${i}].values`, (array as InputArray | null)?.values)
  return x
}

/** Whether they are a list; else they are one array. @throws DataError BAD_ARRAY for what is neither */
function isList(x: Examples): x is readonly InputArray[] {
  if (Array.isArray(x)) return true
  demandTensor('x', x)
  return false
}

/** @throws DataError BAD_ARRAY for what is no examples, or no labels */
export function demandRows(x: unknown, y: unknown): void {
  arraysOf(x as Examples)
  demandTensor('y', y)
}

/** N, as the first array has it; 0 where there is none. */
export function exampleCount(x: Examples): number {
  return arraysOf(x)[0]?.values.shape[0] ?? 0
}

/** The examples with each of their arrays made another. */
export function mapArrays(x: Examples, change: (values: Tensor) => Tensor): Examples {
  return !isList(x) ? change(x) : arraysOf(x).map(array => ({ ...array, values: change(array.values) }))
}

/** Examples `from` to `to` (exclusive), without a copy. */
export function exampleRange(x: Examples, from: number, to: number): Examples {
  return mapArrays(x, values => rows(values, from, to))
}

/** The bytes of the arrays. */
export function examplesBytes(x: Examples): number {
  return arraysOf(x).reduce((sum, { values }) => sum + values.data.byteLength, 0)
}
