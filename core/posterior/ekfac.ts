/** @file Posterior of Kronecker factors with eigenvalues of their own. */
import { checkBytes } from '../budget/memory.js'
import type { EkfacCurvature, KronBlock } from '../curvature/curvature.js'
import { accumulateDiagonal } from '../curvature/diagonal.js'
import { blockSize } from '../curvature/kron.js'
import { gemm, type RealArray, symmetricEigen } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import type { EigenBlock } from './eigen-block.js'
import { eigenPosterior } from './eigen-posterior.js'
import { once, type StructuredPosterior } from './posterior.js'

/** Orthonormal eigenvectors of the factors of a block, in columns; undefined for the identity. */
interface BlockBasis {
  readonly left: Float64Array | undefined
  readonly right: Float64Array | undefined
}

/** The whole eigenbases of the factors of every block. @throws NumericalError NO_CONVERGENCE */
function basesOf(blocks: readonly KronBlock[]): BlockBasis[] {
  const known: { readonly matrix: Float64Array, readonly vectors: Float64Array }[] = []
  const vectorsOf = (size: number, matrix: Float64Array): Float64Array => {
    // Equal factors get one basis: that of a bias is its weight's.
    const before = known.find(own => own.matrix.length === matrix.length && own.matrix.every((v, i) => v === matrix[i]))
    if (before !== undefined) return before.vectors
    const { vectors } = symmetricEigen(size, matrix)
    known.push({ matrix, vectors })
    return vectors
  }
  return blocks.map(block =>
    block.kind === 'diagonal'
      ? { left: undefined, right: undefined }
      : { left: vectorsOf(block.out, block.B),
        right: block.kind === 'dense' ? undefined : vectorsOf(block.in, block.A) }
  )
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
function inBasis({ seeds, examples, factors }: FactoredJacobian, slot: number,
  { left, right }: BlockBasis): FactoredJacobian {
  return { seeds, examples, factors: factors.flatMap((factor): FactoredJacobian['factors'] => {
    if (factor.kind === 'direct') {
      return factor.parameter === slot ? [{ ...factor, parameter: 0, gradient: times(factor.gradient, left) }] : []
    }
    const [weight, bias] = [factor.weight === slot ? 0 : -1, factor.bias === slot ? 0 : -1]
    return weight < 0 && bias < 0
      ? []
      : [{ ...factor, weight, bias, a: weight === 0 ? times(factor.a, right) : factor.a, g: times(factor.g, left) }]
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
  const blocks = once((): EigenBlock[] => {
    const bases = basesOf(curvature.blocks)
    return curvature.blocks.map((block, b) => {
      const { offset, size } = slots[b]
      const { left, right } = bases[b]
      const inputs = block.kind === 'weight' ? block.in : 1
      return { out: size / inputs, in: inputs, left, values: curvature.values.subarray(offset, offset + size),
        right: right && { size: inputs, rank: inputs, vectors: right } }
    })
  })
  return eigenPosterior(curvature, blocks, slots, mean, settings)
}

/** The blocks (U_B kron U_A) diag(values) (U_B kron U_A)' as one P x P matrix. @throws ResourceError OUT_OF_MEMORY */
export function ekfacMatrix({ size, blocks, values }: EkfacCurvature): Float64Array {
  checkBytes('The dense matrix', 16 * size * size, 'Ask for variances instead.')
  const bases = basesOf(blocks)
  const matrix = new Float64Array(size * size)
  let offset = 0
  blocks.forEach((block, b) => {
    const inputs = block.kind === 'weight' ? block.in : 1
    const own = blockSize(block)
    const { left, right } = bases[b]
    // Rows of the identity in the eigenbasis, each times the root of its eigenvalue.
    const rows = new Float64Array(own * own)
    for (let i = 0; i < own; i++) {
      const [o, k] = [Math.floor(i / inputs), i % inputs]
      for (let j = 0; j < own; j++) {
        const [p, l] = [Math.floor(j / inputs), j % inputs]
        const u = left === undefined ? Number(o === p) : left[o * (own / inputs) + p]
        rows[i * own + j] = u * (right === undefined ? Number(k === l) : right[k * inputs + l])
          * Math.sqrt(values[offset + j])
      }
    }
    const product = new Float64Array(own * own)
    gemm(false, true, own, own, own, 1, rows, rows, 0, product)
    for (let i = 0; i < own; i++) {
      matrix.set(product.subarray(i * own, (i + 1) * own), (offset + i) * size + offset)
    }
    offset += own
  })
  return matrix
}
