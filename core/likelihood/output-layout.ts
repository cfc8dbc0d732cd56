/**
 * @file How the outputs of one example are made of likelihood terms: one, or one at each of its positions (tokens,
 * pixels, times). Inside the library the outputs of a batch are N x T x C, position by position; labels and results
 * have the layout of the network's own output.
 */
import type { Tensor } from '../tensor/tensor.js'
import { sizeOf } from '../tensor/tensor.js'

/** The likelihood terms of one example. */
export interface OutputLayout {
  /** C, the outputs of one term. */
  readonly outputs: number
  /** The shape of the positions, each of which is a term; empty where an example is one term. */
  readonly positions: readonly number[]
  /**
   * The axis of the network's output that holds the C outputs, counted as the network counts it (examples first);
   * undefined where there is none, each position having one output.
   */
  readonly classAxis: number | undefined
}

/** The layout of examples that are one term of C outputs. */
export function plainLayout(outputs: number): OutputLayout {
  return { outputs, positions: [], classAxis: undefined }
}

/** T, the number of terms of one example. */
export function termsOf({ positions }: Pick<OutputLayout, 'positions'>): number {
  return sizeOf(positions)
}

/** The shape of one example's outputs as the network has them. */
export function ownShape({ outputs, positions, classAxis }: OutputLayout): number[] {
  if (positions.length === 0) return [outputs]
  if (classAxis === undefined) return [...positions]
  return [...positions.slice(0, classAxis - 1), outputs, ...positions.slice(classAxis - 1)]
}

/** Numbers of each term of n leading blocks, N x T x C (x more), as the network lays its outputs out. */
export function inOwnLayout(layout: OutputLayout, values: Tensor, leading: readonly number[],
  more: readonly number[] = []): Tensor {
  const { dtype } = values
  const shape = [...leading, ...ownShape(layout), ...more]
  if (!movesClasses(layout)) return { dtype, shape, data: values.data }
  const data = values.data.slice()
  eachOutput(layout, sizeOf(leading), sizeOf(more), (own, inside, width) => {
    data.set(values.data.subarray(inside, inside + width), own)
  })
  return { dtype, shape, data }
}

/** Numbers in the network's own layout, N x (own shape), as N x T x C. */
export function termByTerm<A extends Tensor['data']>(layout: OutputLayout, values: A, examples: number): A {
  if (!movesClasses(layout)) return values
  const data = values.slice() as A
  eachOutput(layout, examples, 1, (own, inside) => {
    data[inside] = values[own]
  })
  return data
}

/** Which number of N x T x C each number of the network's own layout is; undefined where they are the same. */
function ownOrder(layout: OutputLayout, examples: number): Int32Array | undefined {
  if (!movesClasses(layout)) return undefined
  const order = new Int32Array(examples * termsOf(layout) * layout.outputs)
  eachOutput(layout, examples, 1, (own, inside) => {
    order[own] = inside
  })
  return order
}

/** A symmetric matrix of all outputs, term by term, in the order of the network's own layout. */
export function matrixInOwnOrder(layout: OutputLayout, matrix: Float64Array, examples: number): Float64Array {
  const order = ownOrder(layout, examples)
  if (order === undefined) return matrix
  const size = order.length
  return matrix.map((_, i) => matrix[order[Math.floor(i / size)] * size + order[i % size]])
}

/** Whether the C outputs of a position do not lie one after another. */
function movesClasses({ positions, classAxis, outputs }: OutputLayout): boolean {
  return classAxis !== undefined && classAxis <= positions.length && outputs > 1
}

/** Every output of `count` blocks: where it is in the network's layout, and where term by term. */
function eachOutput({ outputs, positions, classAxis = 1 }: OutputLayout, count: number, width: number,
  visit: (own: number, inside: number, width: number) => void): void {
  const before = sizeOf(positions.slice(0, classAxis - 1))
  const after = sizeOf(positions.slice(classAxis - 1))
  for (let block = 0; block < count; block++) {
    for (let b = 0; b < before; b++) {
      for (let c = 0; c < outputs; c++) {
        for (let a = 0; a < after; a++) {
          const own = ((block * before + b) * outputs + c) * after + a
          const inside = ((block * before + b) * after + a) * outputs + c
          visit(own * width, inside * width, width)
        }
      }
    }
  }
}
