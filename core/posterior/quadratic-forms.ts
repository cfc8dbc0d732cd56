/**
 * @file The quadratic forms x' S[c, d] x of the blocks of a symmetric matrix, for the rows x of a matrix.
 *
 * For few pairs of outputs one product for each; for many one product of the packed products x_i x_j, i <= j, with the
 * packed symmetric parts of the blocks, which does half the work.
 */
import { eachPackedRows } from '../curvature/packed-rows.js'
import { arenaArray } from '../kernels/arena.js'
import { addRowDots, gemm, packedLength, type RealArray } from '../kernels/linear-algebra.js'
import type { OutputLayout } from './term-pairs.js'
import { narrowed } from './variance-kind.js'

/** Up to this many pairs of outputs, one product for each is cheaper than products of all pairs of features. */
const FEW_PAIRS = 10

/** The blocks S[c, d] of a symmetric matrix: row c of `places`, C x W, has the places of output c's parameters. */
interface Blocks {
  readonly matrix: Float64Array
  readonly size: number
  readonly places: Int32Array
  readonly width: number
  /** The pairs of outputs that are wanted, c <= d. */
  readonly pairs: readonly (readonly [number, number])[]
}

/** What is wanted of the x' S[c, d] x, for x of N x W in float64. */
export function quadraticForms(x: RealArray, matrix: Float64Array, places: Int32Array,
  { outputs, examples, kind }: OutputLayout): Float64Array {
  const pairs = Array.from({ length: outputs }, (_, c) => c).flatMap(c =>
    Array.from({ length: kind === 'diagonal' ? 1 : outputs - c }, (_, i) => [c, c + i] as const)
  )
  const blocks = { matrix, size: Math.sqrt(matrix.length), places, width: places.length / outputs, pairs }
  const values = pairs.length <= FEW_PAIRS ? formsByBlock(blocks, x, examples) : packedForms(blocks, x, examples)
  if (kind === 'diagonal') return values
  return narrowed(symmetricMatrices(values, pairs, examples, outputs), 'covariance', kind, outputs)
}

/** One product x S[c, d] and a row-wise dot product for each pair: N x pairs. */
function formsByBlock({ matrix, size, places, width, pairs }: Blocks, x: RealArray, examples: number): Float64Array {
  const values = new Float64Array(examples * pairs.length)
  const [block, image] = [width * width, examples * width].map(length => arenaArray(x, length))
  const sums = arenaArray(new Float64Array(0), examples)
  pairs.forEach(([c, d], pair) => {
    for (let i = 0; i < width; i++) {
      const row = places[c * width + i] * size
      for (let j = 0; j < width; j++) block[i * width + j] = matrix[row + places[d * width + j]]
    }
    gemm(false, false, examples, width, width, 1, x, block, 0, image)
    addRowDots(width, image, x, sums.fill(0))
    for (let n = 0; n < examples; n++) values[n * pairs.length + pair] = sums[n]
  })
  return values
}

/** Packed products of a few examples at a time with all packed blocks: N x pairs. */
function packedForms(blocks: Blocks, x: RealArray, examples: number): Float64Array {
  const { width } = blocks
  const pairs = blocks.pairs.length
  const packed = packedBlocks(blocks)
  const length = packedLength(width)
  const values = new Float64Array(examples * pairs)
  eachPackedRows(width, x, examples, (part, from, count) => {
    gemm(false, true, count, pairs, length, 1, part, packed, 0, values.subarray(from * pairs, (from + count) * pairs))
  })
  return values
}

/**
 * The symmetric parts of the blocks, pairs x packedLength(W). Off-diagonal entries are S_ij + S_ji, not twice one of
 * them: S is symmetric, but its block (c, d) is not.
 */
function packedBlocks({ matrix, size, places, width, pairs }: Blocks): Float64Array {
  const packed = new Float64Array(pairs.length * packedLength(width))
  let at = 0
  for (const [c, d] of pairs) {
    for (let i = 0; i < width; i++) {
      const row = places[c * width + i] * size
      packed[at++] = matrix[row + places[d * width + i]]
      for (let j = i + 1; j < width; j++) {
        packed[at++] = matrix[row + places[d * width + j]] +
          matrix[places[c * width + j] * size + places[d * width + i]]
      }
    }
  }
  return packed
}

/** Values of pairs, N x pairs, as N x C x C symmetric matrices. */
function symmetricMatrices(values: Float64Array, pairs: Blocks['pairs'], examples: number,
  outputs: number): Float64Array {
  const result = new Float64Array(examples * outputs * outputs)
  for (let n = 0, at = 0; n < examples; n++) {
    for (const [c, d] of pairs) {
      const value = values[at++]
      result[(n * outputs + c) * outputs + d] = value
      result[(n * outputs + d) * outputs + c] = value
    }
  }
  return result
}
