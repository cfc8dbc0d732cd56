/**
 * @file The variances of a weight that one operator applies at several positions of an example: sums over o and i of
 * G_c[o, i] G_d[o, i] v[o, i], for G_c = U_B' (sum_t g_ct a_t') Q_A in the eigenbasis of its block.
 *
 * The outputs' gradients are rotated before the sum over positions or after it, whichever takes fewer multiplications.
 * Of a factor A of low rank v is one number u_o on all coordinates outside of its range: with b_t the part of a_t
 * there, these give the sum over o of u_o g_co' K g_do, K = b b' over positions, and no G_c is formed there.
 */
import { arenaArray, arenaScope } from '../kernels/arena.js'
import { multiplyInPlace } from '../kernels/arithmetic.js'
import { addRowDots, addWeightedRowDots, gemm, type RealArray } from '../kernels/linear-algebra.js'
import { columnsAtOnce } from '../programs/operator-columns.js'
import { rowWidth, type WeightedBlock } from './eigen-block.js'
import { beside, type Eigenbasis, isThin } from './eigenbasis.js'
import { inPrecisionOf } from './single-precision.js'
import { eachPair, type OutputLayout, totalRow } from './term-pairs.js'
import type { LinearPair } from './variance-operations.js'

/** An operator whose inputs, and gradients unless `left` is to rotate their products, are in its eigenbasis. */
interface Rotated {
  /** C x N x T x out; and the sum of all outputs, N x T x out, where sums are wanted. */
  readonly g: RealArray
  readonly total: RealArray | undefined
  readonly left: RealArray | undefined
  /** Coordinates of the inputs, N x T x width. */
  readonly inside: RealArray
  readonly width: number
  /** The part of the inputs outside of the range of A, N x T x in, where it is not among the coordinates. */
  readonly outside: RealArray | undefined
}

/** The shape of one example's part. */
interface Shape extends Pick<LinearPair<RealArray>, 'positions' | 'in' | 'out'> {
  readonly block: WeightedBlock
  readonly layout: OutputLayout
}

/** Adds to the sums of the pairs of outputs, pairs x N. */
export function addOperatorTerm(pairs: Float64Array, { a, g, positions, in: inputs, out }: LinearPair<RealArray>,
  block: WeightedBlock, layout: OutputLayout): void {
  const shape = { positions, in: inputs, out, block, layout }
  arenaScope(() => {
    const rotated = rotatedPair(a, g, shape)
    for (let n = 0; n < layout.examples; n++) {
      arenaScope(() => {
        addInside(pairs, rotated, shape, n)
      })
      arenaScope(() => {
        if (rotated.outside !== undefined) addOutside(pairs, rotated, rotated.outside, shape, n)
      })
    }
  })
}

function rotatedPair(a: RealArray, g: RealArray, { positions, in: inputs, out, block, layout }: Shape): Rotated {
  const { left, right } = block
  const apart = right !== undefined && isThin(right) && positions <= inputs
  const width = apart ? right.rank : rowWidth(block)
  const basis = left && inPrecisionOf(g, left)
  const first = basis !== undefined && (apart || positions <= width)
  const own = first ? arenaArray(g, g.length) : g
  if (first) gemm(false, false, g.length / out, out, out, 1, g, basis, 0, own)
  const total = layout.kind === 'sums'
    ? totalRow(own, layout, () => arenaArray(g, g.length / layout.outputs))
    : undefined
  return { g: own, total, left: first ? undefined : basis, width, ...inputCoordinates(a, right, apart) }
}

/** The inputs in the basis, and apart from them what lies outside of a thin one, or beside them. */
function inputCoordinates(a: RealArray, right: Eigenbasis | undefined,
  apart: boolean): Pick<Rotated, 'inside' | 'outside'> {
  if (right === undefined) return { inside: a, outside: undefined }
  const { size, rank } = right
  const rows = a.length / size
  const basis = inPrecisionOf(a, right.vectors)
  const inside = arenaArray(a, rows * rank)
  gemm(false, false, rows, rank, size, 1, a, basis, 0, inside)
  if (!isThin(right)) return { inside, outside: undefined }
  const outside = arenaArray(a, a.length)
  outside.set(a)
  gemm(false, true, rows, size, rank, -1, inside, basis, 1, outside)
  return apart
    ? { inside, outside }
    : { inside: beside(inside, rank, outside, size, arenaArray(a, inside.length + outside.length)), outside: undefined }
}

/** Rows G_c diag(v)^1/2, some columns at a time, and their products. */
function addInside(pairs: Float64Array, rotated: Rotated, shape: Shape, n: number): void {
  const { positions, out, layout } = shape
  const { inside, width } = rotated
  const { outputs } = layout
  const rows = outputs + Number(rotated.total !== undefined)
  // The same for every kind, so that a variance has the same bits in all of them.
  const step = columnsAtOnce(outputs, out, width)
  const [columns, roots] = [arenaArray(inside, positions * step), arenaArray(inside, out * step)]
  const products = arenaArray(inside, rows * out * step)
  const room = arenaArray(inside, rotated.left === undefined ? 0 : out * step)
  for (let from = 0; from < width; from += step) {
    const count = Math.min(step, width - from)
    copyColumns(inside.subarray(n * positions * width, (n + 1) * positions * width), width, from, count, columns)
    putRoots(shape.block, from, count, roots)
    const size = out * count
    for (let c = 0; c < rows; c++) {
      const row = products.subarray(c * size, (c + 1) * size)
      const { left } = rotated
      const sum = left === undefined ? row : room.subarray(0, size)
      gemm(true, false, out, count, positions, 1, gradients(rotated, shape, c, n),
        columns.subarray(0, positions * count), 0, sum)
      if (left !== undefined) gemm(true, false, out, count, out, 1, left, sum, 0, row)
      multiplyInPlace(row, roots.subarray(0, size))
    }
    addProducts(pairs, products.subarray(0, rows * size), size, layout, n)
  }
}

/** Products of rows of `size` numbers, and with the sum behind them, in the sums of example n. */
function addProducts(pairs: Float64Array, rows: RealArray, size: number, layout: OutputLayout, n: number): void {
  const { outputs, examples, kind } = layout
  const gram = new Float64Array(kind === 'covariance' ? outputs * outputs : 0)
  if (kind === 'covariance') gemm(false, true, outputs, outputs, size, 1, rows, rows, 0, gram)
  eachPair(layout, (c, d, pair) => {
    const at = pair * examples + n
    if (kind === 'covariance' && c !== d) pairs[at] += gram[c * outputs + d]
    else {
      addRowDots(size, rows.subarray(c * size, (c + 1) * size), rows.subarray(d * size, (d + 1) * size),
        pairs.subarray(at, at + 1))
    }
  })
}

/** The products outside of the range of A. */
function addOutside(pairs: Float64Array, rotated: Rotated, outside: RealArray, shape: Shape, n: number): void {
  const { positions, in: inputs, out, block, layout } = shape
  const { outputs, examples } = layout
  const own = outside.subarray(n * positions * inputs, (n + 1) * positions * inputs)
  const kernel = arenaArray(own, positions * positions)
  gemm(false, true, positions, positions, inputs, 1, own, own, 0, kernel)
  const line = positions * out
  const [images, weights] = [arenaArray(own, outputs * line), arenaArray(own, line)]
  for (let at = 0; at < line; at++) weights[at] = block.variance[(at % out + 1) * rowWidth(block) - 1]
  for (let c = 0; c < outputs; c++) {
    gemm(false, false, positions, out, positions, 1, kernel, gradients(rotated, shape, c, n), 0,
      images.subarray(c * line, (c + 1) * line))
  }
  eachPair(layout, (c, d, pair) => {
    const at = pair * examples + n
    addWeightedRowDots(line, images.subarray(d * line, (d + 1) * line), gradients(rotated, shape, c, n), weights,
      pairs.subarray(at, at + 1))
  })
}

/** The gradients of output c of example n, or of the sum of all outputs: T x out. */
function gradients({ g, total }: Rotated, { positions, out, layout: { outputs, examples } }: Shape, c: number,
  n: number): RealArray {
  const line = positions * out
  const from = c === outputs ? n * line : (c * examples + n) * line
  return (c === outputs ? total ?? g : g).subarray(from, from + line)
}

/** Some columns of a matrix of rows of `width` numbers. */
function copyColumns(matrix: RealArray, width: number, from: number, count: number, columns: RealArray): void {
  for (let at = 0, to = 0; at < matrix.length; at += width, to += count) {
    columns.set(matrix.subarray(at + from, at + from + count), to)
  }
}

/** Roots of some columns of the variances. */
function putRoots(block: WeightedBlock, from: number, count: number, roots: RealArray): void {
  const width = rowWidth(block)
  for (let o = 0, to = 0; o < block.out; o++) {
    for (let at = o * width + from; at < o * width + from + count; at++) roots[to++] = Math.sqrt(block.variance[at])
  }
}
