/** @file Posterior of Kronecker factors with eigenvalues of their own. */
import { checkBytes } from '../budget/memory.js'
import type { EkfacCurvature, KronBlock } from '../curvature/curvature.js'
import { accumulateDiagonal } from '../curvature/diagonal.js'
import { type PlainBlock, plainBlocks } from '../curvature/kron-blocks.js'
import { gemm, type RealArray, symmetricEigen } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { type EigenBlock, rotateMatrices, rotateTensor, type TensorBlocks } from './eigen-block.js'
import { eigenPosterior } from './eigen-posterior.js'
import { once, type StructuredPosterior } from './posterior.js'

/** Orthonormal eigenvectors of the factors of every tensor's blocks. @throws NumericalError NO_CONVERGENCE */
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

/** What adds up the diagonal of H in the eigenbases of Kronecker factors. */
export interface EkfacSum {
  /** Adds a batch, whose seeds are the columns of a root of Lambda. */
  add(jacobian: FactoredJacobian): void
  curvature(): EkfacCurvature
}

/** Starts at zero. */
export function ekfacSum(blocks: readonly KronBlock[], slots: readonly ParameterSlot[]): EkfacSum {
  const bases = basesOf(blocks)
  const values = new Float64Array(slots.reduce((sum, { size }) => sum + size, 0))
  return {
    add(jacobian) {
      slots.forEach(({ offset, size, ...slot }, s) => {
        accumulateDiagonal(values.subarray(offset, offset + size), [{ ...slot, offset: 0, size }],
          inBasis(jacobian, s, bases[s]))
      })
    },
    curvature: () => ({ structure: 'ekfac', size: values.length, blocks, values }),
  }
}

/** The factors of one parameter, as those of the only one there is, in its eigenbasis. */
function inBasis({ seeds, examples, factors }: FactoredJacobian, slot: number, blocks: TensorBlocks): FactoredJacobian {
  const [{ left, right }] = blocks
  return { seeds, examples, factors: factors.flatMap((factor): FactoredJacobian['factors'] => {
    if (factor.kind === 'direct') {
      return factor.parameter === slot
        ? [{ ...factor, parameter: 0,
          gradient: rotateTensor(blocks, Float64Array.from(factor.gradient), seeds * examples) }]
        : []
    }
    const [weight, bias] = [factor.weight === slot ? 0 : -1, factor.bias === slot ? 0 : -1]
    return weight < 0 && bias < 0 ?
      [] :
      [{ ...factor, weight, bias, a: weight === 0 ? times(factor.a, right?.vectors) : factor.a,
        g: times(factor.g, left) }]
  }) }
}

/** Rows times a square matrix, in float64. */
function times(rows: RealArray, basis: Float64Array | undefined): RealArray {
  if (basis === undefined) return rows
  const size = Math.sqrt(basis.length)
  const count = size === 0 ? 0 : rows.length / size
  const result = new Float64Array(rows.length)
  gemm(false, false, count, size, size, 1, Float64Array.from(rows), basis, 0, result)
  return result
}

/** The posterior: in every block's eigenbasis the precision is its own values / (sigma^2 T) + delta. */
export function ekfacPosterior(curvature: EkfacCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  const blocks = once(() =>
    basesOf(curvature.blocks).map((tensor, t) => {
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
  for (const block of basesOf(blocks).flat()) {
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
