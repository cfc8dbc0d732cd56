/** @file Posterior of Kronecker factors with eigenvalues of their own. */
import { checkBytes } from '../budget/memory.js'
import type { EkfacCurvature, KronBlock } from '../curvature/curvature.js'
import { type PlainBlock, plainBlocks } from '../curvature/kron-blocks.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { RotatedTensor } from '../programs/squares-program.js'
import { type EigenBlock, rotateMatrices, type TensorBlocks } from './eigen-block.js'
import { eigenPosterior } from './eigen-posterior.js'
import { once, type StructuredPosterior } from './posterior.js'

/** Bases by the blocks that they belong to: a fit sums in them, and its posterior takes them over. */
const found = new WeakMap<readonly KronBlock[], TensorBlocks[]>()

/** Orthonormal eigenvectors of the factors of every tensor's blocks. @throws NumericalError NO_CONVERGENCE */
export function eigenbases(blocks: readonly KronBlock[]): TensorBlocks[] {
  const bases = found.get(blocks) ?? basesOf(blocks)
  found.set(blocks, bases)
  return bases
}

function basesOf(blocks: readonly KronBlock[]): TensorBlocks[] {
  const known: { readonly matrix: Float64Array, readonly vectors: Float64Array }[] = []
  const vectorsOf = (size: number, matrix: Float64Array): Float64Array => {
    // Equal factors get one basis: that of a bias is its weight's.
    const before = known.find(own => own.matrix.length === matrix.length && own.matrix.every((v, i) => v === matrix[i]))
    if (before !== undefined) return before.vectors
    const { vectors } = symmetricEigen(size, matrix)
    known.push({ matrix, vectors })
    return vectors
  }
  const basisOf = (block: PlainBlock): EigenBlock => {
    const values = new Float64Array(0)
    if (block.kind === 'diagonal') {
      return { out: block.diagonal.length, in: 1, left: undefined, right: undefined, values }
    }
    const { out } = block
    const left = vectorsOf(out, block.B)
    return block.kind === 'dense'
      ? { out, in: 1, left, right: undefined, values }
      : { out, in: block.in, left, values,
        right: { size: block.in, rank: block.in, vectors: vectorsOf(block.in, block.A) } }
  }
  return blocks.map(block => plainBlocks(block).map(basisOf))
}

/** A tensor's blocks with the bases in which the squares of its gradients are summed. */
export function rotatedTensor(blocks: TensorBlocks): RotatedTensor {
  return blocks.map(({ out, in: inputs, left, right }) => ({ out, in: inputs, left, right: right?.vectors }))
}

/** The posterior: in every block's eigenbasis the precision is its own values / (sigma^2 T) + delta. */
export function ekfacPosterior(curvature: EkfacCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  const blocks = once(() =>
    eigenbases(curvature.blocks).map((tensor, t) => {
      let { offset } = slots[t]
      return tensor.map(block => {
        const from = offset
        offset += block.out * block.in
        return { ...block, values: curvature.values.subarray(from, offset) }
      })
    })
  )
  return eigenPosterior(curvature, blocks, slots, mean, settings)
}

/** The blocks (U_B kron U_A) diag(values) (U_B kron U_A)' as one P x P matrix. @throws ResourceError OUT_OF_MEMORY */
export function ekfacMatrix({ size, blocks, values }: EkfacCurvature): Float64Array {
  checkBytes('The dense matrix', 16 * size * size, 'Ask for variances instead.')
  const matrix = new Float64Array(size * size)
  let offset = 0
  for (const block of eigenbases(blocks).flat()) {
    const own = block.out * block.in
    // Rows of the identity in the eigenbasis, each times the roots of the eigenvalues.
    const unit = new Float64Array(own * own)
    for (let i = 0; i < own; i++) unit[i * own + i] = 1
    const rows = rotateMatrices(block, unit, own, false)
    for (let i = 0; i < own * own; i++) rows[i] *= Math.sqrt(values[offset + i % own])
    const product = new Float64Array(own * own)
    gemm(false, true, own, own, own, 1, rows, rows, 0, product)
    for (let i = 0; i < own; i++) {
      matrix.set(product.subarray(i * own, (i + 1) * own), (offset + i) * size + offset)
    }
    offset += own
  }
  return matrix
}
