/**
 * @file A curvature block in its eigenbasis: H_block = (U_B kron U_A) diag(values) (U_B kron U_A)'.
 * Kronecker blocks and diagonal ones (whose basis is the identity) are used through the same few operations.
 */
import type { Curvature, KronBlock } from '../curvature/curvature.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'

/** One parameter tensor seen as out x in. An undefined basis is the identity. */
export interface EigenBlock {
  readonly out: number
  readonly in: number
  /** Eigenvectors of B in columns, out x out. */
  readonly left: Float64Array | undefined
  /** Eigenvectors of A in columns, in x in. */
  readonly right: Float64Array | undefined
  /** Eigenvalues of the block, out x in, not negative. */
  readonly values: Float64Array
}

/** A block with the posterior variances in its eigenbasis, out x in. */
export interface WeightedBlock extends EigenBlock {
  readonly variance: Float64Array
}

/** The blocks of a kron or diagonal curvature in the order of the slots. */
export function eigenBlocks(curvature: Exclude<Curvature, { structure: 'full' }>,
  slots: readonly ParameterSlot[]): EigenBlock[] {
  if (curvature.structure === 'diag') {
    return slots.map(slot => {
      const [out, inputs] = matrixShape(slot)
      return { out, in: inputs, left: undefined, right: undefined,
        values: clamped(curvature.diagonal.subarray(slot.offset, slot.offset + slot.size)) }
    })
  }
  const known: { readonly matrix: Float64Array, readonly eigen: Eigen }[] = []
  const eigenOf = (size: number, matrix: Float64Array): Eigen => {
    const before = known.find(entry => sameNumbers(entry.matrix, matrix))
    if (before !== undefined) return before.eigen
    const eigen = symmetricEigen(size, matrix)
    known.push({ matrix, eigen })
    return eigen
  }
  return curvature.blocks.map(block => kronEigenBlock(block, eigenOf))
}

interface Eigen {
  readonly values: Float64Array
  /** Undefined: the identity. */
  readonly vectors: Float64Array | undefined
}

/** A diagonal matrix in its own basis, so that rows of its parameters may have priors of their own. */
function ownBasis(size: number, matrix: Float64Array): Eigen | undefined {
  const diagonal = matrix.every((value, at) => value === 0 || at % (size + 1) === 0)
  return diagonal ?
    { values: Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]), vectors: undefined }
    : undefined
}

function kronEigenBlock(block: KronBlock, eigenOf: (size: number, matrix: Float64Array) => Eigen): EigenBlock {
  if (block.kind === 'diagonal') {
    return { out: block.diagonal.length, in: 1, left: undefined, right: undefined, values: clamped(block.diagonal) }
  }
  const b = ownBasis(block.out, block.B) ?? eigenOf(block.out, block.B)
  if (block.kind === 'dense') {
    return { out: block.out, in: 1, left: b.vectors, right: undefined, values: clamped(b.values) }
  }
  const rows = block.rows || 1
  const a = eigenOf(block.in, block.A)
  const values = new Float64Array(block.out * block.in)
  for (let o = 0; o < block.out; o++) {
    for (let i = 0; i < block.in; i++) {
      values[o * block.in + i] = Math.max(0, b.values[o]) * Math.max(0, a.values[i]) / rows
    }
  }
  return { out: block.out, in: block.in, left: b.vectors, right: a.vectors, values }
}

function clamped(values: Float64Array): Float64Array {
  return values.map(value => Math.max(0, value))
}

function sameNumbers(a: Float64Array, b: Float64Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}

/** A tensor of rank 2 or more as out x in; any other as a column. */
function matrixShape({ shape, size, elements }: ParameterSlot): [number, number] {
  return elements !== undefined || shape.length < 2 || shape[0] === 0 ? [size, 1] : [shape[0], size / shape[0]]
}

/** U_B' M U_A (forward) or U_B M U_A' (backward) for `count` matrices M of out x in, each one a row. */
export function rotateMatrices(block: EigenBlock, rows: Float64Array, count: number, backward: boolean): Float64Array {
  const { out, in: inputs, left, right } = block
  let current = rows
  if (right !== undefined) {
    const next = new Float64Array(current.length)
    gemm(false, backward, count * out, inputs, inputs, 1, current, right, 0, next)
    current = next
  }
  if (left !== undefined) {
    const next = new Float64Array(current.length)
    if (inputs === 1) gemm(false, backward, count, out, out, 1, current, left, 0, next)
    else {
      for (let n = 0; n < count; n++) {
        const at = n * out * inputs
        gemm(!backward, false, out, inputs, out, 1, left, current.subarray(at, at + out * inputs), 0,
          next.subarray(at, at + out * inputs))
      }
    }
    current = next
  }
  return current
}
