/**
 * @file A curvature block in its eigenbasis: H_block = (U_B kron U_A) diag(values) (U_B kron U_A)'.
 * Kronecker blocks and diagonal ones (whose basis is the identity) are used through the same few operations.
 */
import type { KronBlock } from '../curvature/curvature.js'
import { type PlainBlock, plainBlocks } from '../curvature/kron-blocks.js'
import { gemm } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { coordinates, type Eigenbasis, fromCoordinates, toCoordinates } from './eigenbasis.js'
import { type FactorEigens, isDiagonal } from './factor-eigen.js'

/** Parameters seen as out x in: a tensor, or a group of one. An undefined basis is the identity. */
export interface EigenBlock {
  readonly out: number
  readonly in: number
  /** Eigenvectors of B in columns, out x out. */
  readonly left: Float64Array | undefined
  /** Eigenvectors of A. */
  readonly right: Eigenbasis | undefined
  /** Eigenvalues of the block, out x W for the W coordinates of `right`, not negative. */
  readonly values: Float64Array
}

/** A block with the posterior variances in its eigenbasis, out x W. */
export interface WeightedBlock extends EigenBlock {
  readonly variance: Float64Array
}

/** The blocks of one tensor, one after another: one, or one a group of a convolution. */
export type TensorBlocks<Block extends EigenBlock = EigenBlock> = readonly Block[]

/** Numbers in a row of a block's values. */
export function rowWidth({ in: inputs, right }: EigenBlock): number {
  return right === undefined ? inputs : coordinates(right)
}

/** One number for each dimension of a block, out x in, of numbers for each coordinate: none counts twice. */
export function ownValues(block: EigenBlock, values: Float64Array): Float64Array {
  const width = rowWidth(block)
  if (width === block.in) return values
  const own = new Float64Array(block.out * block.in)
  for (let o = 0; o < block.out; o++) own.set(values.subarray(o * width, o * width + block.in), o * block.in)
  return own
}

/** The blocks of a diagonal curvature in the order of the slots. */
export function diagonalBlocks(diagonal: Float64Array, slots: readonly ParameterSlot[]): TensorBlocks[] {
  return slots.map(slot => {
    const [out, inputs] = matrixShape(slot)
    return [{ out, in: inputs, left: undefined, right: undefined,
      values: clamped(diagonal.subarray(slot.offset, slot.offset + slot.size)) }]
  })
}

/** The blocks of a kron curvature from the decompositions of its factors. */
export function kronBlocks(blocks: readonly KronBlock[], eigens: FactorEigens): TensorBlocks[] {
  return blocks.map(block => plainBlocks(block).map(plain => kronBlock(plain, eigens)))
}

function kronBlock(block: PlainBlock, eigens: FactorEigens): EigenBlock {
  if (block.kind === 'diagonal') {
    return { out: block.diagonal.length, in: 1, left: undefined, right: undefined, values: clamped(block.diagonal) }
  }
  const b = outputEigen(block.out, block.B, eigens)
  if (block.kind === 'dense') return { out: block.out, in: 1, left: b.vectors, right: undefined, values: b.values }
  const { values: a, basis } = eigens.of(block.A)
  return { out: block.out, in: block.in, left: b.vectors, right: basis,
    values: products(b.values, a, coordinates(basis), block.rows || 1) }
}

/** Eigenvalues of B, and its eigenvectors, undefined for the identity. */
function outputEigen(size: number, matrix: Float64Array,
  eigens: FactorEigens): { readonly values: Float64Array, readonly vectors: Float64Array | undefined } {
  if (isDiagonal(size, matrix)) {
    return { values: clamped(Float64Array.from({ length: size }, (_, i) => matrix[i * size + i])), vectors: undefined }
  }
  const { values, basis } = eigens.of(matrix)
  return { values, vectors: basis.vectors }
}

/** b_o a_i / rows; 0 for coordinates beyond the values of a. */
function products(b: Float64Array, a: Float64Array, width: number, rows: number): Float64Array {
  const values = new Float64Array(b.length * width)
  for (let o = 0; o < b.length; o++) for (let i = 0; i < a.length; i++) values[o * width + i] = b[o] * a[i] / rows
  return values
}

function clamped(values: Float64Array): Float64Array {
  return values.map(value => Math.max(0, value))
}

/** A tensor of rank 2 or more as out x in; any other as a column. */
function matrixShape({ shape, size, elements }: ParameterSlot): [number, number] {
  return elements !== undefined || shape.length < 2 || shape[0] === 0 ? [size, 1] : [shape[0], size / shape[0]]
}

/**
 * U_B' M Q_A (forward) or U_B M Q_A' (backward) for `count` matrices M, each one a row; Q_A changes to the coordinates
 * of A's basis.
 */
export function rotateMatrices(block: EigenBlock, rows: Float64Array, count: number, backward: boolean): Float64Array {
  const { out, left } = block
  const current = rotateInputs(block, rows, count, backward)
  if (left === undefined) return current
  const next = new Float64Array(current.length)
  const width = current.length / Math.max(1, count * out)
  if (width === 1) gemm(false, backward, count, out, out, 1, current, left, 0, next)
  else {
    for (let n = 0; n < count; n++) {
      const at = n * out * width
      gemm(!backward, false, out, width, out, 1, left, current.subarray(at, at + out * width), 0,
        next.subarray(at, at + out * width))
    }
  }
  return next
}

/** The rows of a count x size matrix in the eigenbases of a tensor's blocks, one block's coordinates after another. */
export function rotateTensor(blocks: TensorBlocks, rows: Float64Array, count: number): Float64Array {
  if (blocks.length === 1) return rotateMatrices(blocks[0], rows, count, false)
  const sizes = blocks.map(block => block.out * block.in)
  const widths = blocks.map(block => block.out * rowWidth(block))
  const [size, width] = [sizes, widths].map(counts => counts.reduce((sum, own) => sum + own, 0))
  const result = new Float64Array(count * width)
  let [from, to] = [0, 0]
  blocks.forEach((block, b) => {
    const own = rotateMatrices(block, columns(rows, count, size, from, sizes[b]), count, false)
    putColumns(result, own, count, width, to, widths[b])
    from += sizes[b]
    to += widths[b]
  })
  return result
}

/** Columns `offset` to `offset + width` of a count x size matrix, as a copy. */
export function columns(rows: Float64Array, count: number, size: number, offset: number, width: number): Float64Array {
  const result = new Float64Array(count * width)
  for (let n = 0; n < count; n++) result.set(rows.subarray(n * size + offset, n * size + offset + width), n * width)
  return result
}

/** Sets columns `offset` to `offset + width` of a count x size matrix. */
export function putColumns(target: Float64Array, part: Float64Array, count: number, size: number, offset: number,
  width: number): void {
  for (let n = 0; n < count; n++) target.set(part.subarray(n * width, (n + 1) * width), n * size + offset)
}

/** M Q_A, or M Q_A' backward. */
export function rotateInputs({ out, right }: EigenBlock, rows: Float64Array, count: number,
  backward: boolean): Float64Array {
  if (right === undefined) return rows
  return backward ? fromCoordinates(right, rows, count * out) : toCoordinates(right, rows, count * out)
}
