/**
 * @file The operations of the variances on typed arrays, by the matrix kernels.
 *
 * Results live in the arena of the kernels where it has room, and the next evaluation of anything overwrites them
 * there: only the variances themselves, which are on the heap, may be kept.
 */
import { denseJacobian } from '../curvature/jacobian.js'
import { arenaWithOnes } from '../curvature/last-layer.js'
import { arenaArray } from '../kernels/arena.js'
import { square } from '../kernels/arithmetic.js'
import { gemm, type RealArray, triangularSolveRight } from '../kernels/linear-algebra.js'
import { rotateTensor } from './eigen-block.js'
import { beside, type Eigenbasis, isThin } from './eigenbasis.js'
import { type JacobianRows, sumOfTerms } from './kernel-terms.js'
import { quadraticForms } from './quadratic-forms.js'
import { inPrecisionOf } from './single-precision.js'
import type { OutputLayout } from './term-pairs.js'
import type { LinearPair, PosteriorMatrix, ProductOptions, VarianceOperations } from './variance-operations.js'

/** The operations for one batch; whoever uses more of them than `jacobian` and `whiten` begins the arena before. */
export function kernelOperations(layout: OutputLayout): VarianceOperations<RealArray, JacobianRows, Float64Array> {
  const { outputs, examples } = layout
  return {
    product: (x, matrix, options) => product(x, matrix, examples, options),
    rotate: (x, basis) => rotate(x, basis, examples),
    rotateTensor: (x, blocks) => rotateTensor(blocks, Float64Array.from(x), outputs * examples),
    overPositions: (g, shape) => overPositions(g, shape),
    square: x => {
      const squares = arenaArray(x, x.length)
      square(x, squares)
      return squares
    },
    // In float64 whatever x is, as the terms of a quadratic form cancel each other.
    withOnes: (x, bias) => arenaWithOnes(x, examples, x.length / examples, bias),
    jacobian: (slots, factors) => ({
      size: slots.reduce((sum, slot) => sum + slot.size, 0),
      read: (from, to) => denseJacobian(slots, { seeds: outputs, examples, factors }, from, to),
    }),
    whiten: (rows, lower) => whiten(rows, lower, outputs),
    quadraticForms: (x, matrix, places) => quadraticForms(x, matrix.values, places, layout),
    total: terms => sumOfTerms(terms, layout),
  }
}

/** x M or x M' (+ a row): the kernels multiply arrays of one precision, so that of x decides, not that of M. */
function product(x: RealArray, matrix: PosteriorMatrix, examples: number,
  { transposed = false, plus }: ProductOptions = {}): RealArray {
  const [from, to] = transposed ? [matrix.columns, matrix.rows] : [matrix.rows, matrix.columns]
  // Without columns x does not tell how many rows it has.
  const count = from === 0 ? examples : x.length / from
  const result = arenaArray(x, count * to)
  if (plus !== undefined) { for (let n = 0; n < count; n++) result.set(plus.values, n * to) }
  gemm(false, transposed, count, to, from, 1, x, inPrecisionOf(x, matrix.values), plus === undefined ? 0 : 1, result)
  return result
}

/** x Q: x U, and x - x U U' beside it where the basis is thin. */
function rotate(x: RealArray, basis: Eigenbasis, examples: number): RealArray {
  const { size, rank, vectors } = basis
  const matrix = { values: vectors, rows: size, columns: rank }
  const inside = product(x, matrix, examples)
  if (!isThin(basis)) return inside
  const outside = arenaArray(x, x.length)
  outside.set(x)
  gemm(false, true, x.length / size, size, rank, -1, inside, inPrecisionOf(x, vectors), 1, outside)
  return beside(inside, rank, outside, size, arenaArray(x, inside.length + outside.length))
}

/** Rows of an example and seed, T x out, added up. */
function overPositions(g: RealArray, { positions, out }: Pick<LinearPair<RealArray>, 'positions' | 'out'>): RealArray {
  const line = positions * out
  const [ones, sums] = [arenaArray(g, positions).fill(1), arenaArray(g, g.length / positions)]
  for (let from = 0, to = 0; from < g.length; from += line, to += out) {
    gemm(false, false, 1, out, positions, 1, ones, g.subarray(from, from + line), 0, sums.subarray(to, to + out))
  }
  return sums
}

/** The rows J L^-T; every reading makes rows of its own, which are then solved in place. */
function whiten({ size, read }: JacobianRows, lower: PosteriorMatrix, outputs: number): JacobianRows {
  return { size, read: (from, to) => {
    const rows = read(from, to)
    triangularSolveRight(size, (to - from) * outputs, lower.values, rows)
    return rows
  } }
}
