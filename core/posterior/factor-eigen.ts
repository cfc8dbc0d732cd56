/** @file Eigen-decompositions of Kronecker factors: each is made once, whoever asks first and for whatever prior. */
import type { KronBlock } from '../curvature/curvature.js'
import { type FactorShape, THIN, usesThinSide } from '../curvature/factor-shape.js'
import { plainBlocks } from '../curvature/kron-blocks.js'
import { InternalError } from '../errors/errors.js'
import { lowRankEigen, symmetricEigen } from '../kernels/linear-algebra.js'
import type { Eigenbasis } from './eigenbasis.js'

/** A positive semi-definite matrix to be decomposed. */
export interface SymmetricFactor extends FactorShape {
  readonly matrix: Float64Array
  /** Whether the eigenvectors may take the matrix's place. */
  readonly temporary?: boolean
}

/** Eigenvalues of a factor, one for each vector of its basis, not negative. */
export interface FactorEigen {
  readonly values: Float64Array
  readonly basis: Eigenbasis
}

/** The eigenvectors of a factor, or of its range where it is of low rank. @throws NumericalError NO_CONVERGENCE */
export function decomposeFactor(factor: SymmetricFactor): FactorEigen {
  const { size, matrix } = factor
  const thin = usesThinSide(factor) ? lowRankEigen(size, matrix, Math.floor(THIN * size)) : undefined
  const { values, vectors } = thin ?? symmetricEigen(size, matrix, factor.temporary === true ? matrix : undefined)
  return { values: values.map(value => Math.max(0, value)), basis: { size, rank: values.length, vectors } }
}

/** The decompositions of the factors of some blocks. */
export interface FactorEigens {
  /** All factors, in an order that the blocks give. */
  readonly factors: readonly SymmetricFactor[]
  /** That of a matrix of the blocks, made now unless it is there. */
  of(matrix: Float64Array): FactorEigen
  /** That of a factor, where it has been made. */
  known(factor: SymmetricFactor): FactorEigen | undefined
  /** The factors that are not decomposed yet. */
  missing(): readonly SymmetricFactor[]
  /** Keeps a decomposition that was made elsewhere. */
  keep(factor: SymmetricFactor, eigen: FactorEigen): void
}

/** The decompositions that the blocks of a kron curvature need; a diagonal B needs none. */
export function factorEigens(blocks: readonly KronBlock[]): FactorEigens {
  const factors: SymmetricFactor[] = []
  const factorOf = new Map<Float64Array, SymmetricFactor>()
  const byFirst = new Map<number, SymmetricFactor[]>()
  const eigens = new Map<SymmetricFactor, FactorEigen>()
  const add = (own: SymmetricFactor): void => {
    // A bias's factor equals its weight's, and layers may share their inputs.
    const alike = byFirst.get(own.matrix[0]) ?? []
    const known = alike.find(({ matrix }) => sameNumbers(matrix, own.matrix))
    if (known === undefined) {
      factors.push(own)
      byFirst.set(own.matrix[0], [...alike, own])
    }
    factorOf.set(own.matrix, known ?? own)
  }
  for (const whole of blocks) {
    for (const block of plainBlocks(whole)) {
      if (block.kind === 'diagonal') continue
      if (!isDiagonal(block.out, block.B)) add({ size: block.out, matrix: block.B, rank: block.out })
      if (block.kind !== 'weight') continue
      // The bases of groups are whole: they are small, and one node of an exported prediction takes all of a tensor's.
      const rank = whole.kind === 'grouped' ? block.in : Math.min(block.in, block.rows)
      add({ size: block.in, matrix: block.A, rank })
    }
  }
  return {
    factors,
    known: factor => eigens.get(factor),
    of(matrix) {
      const factor = factorOf.get(matrix)
      if (factor === undefined) {
        throw new InternalError('A matrix that is no factor of these blocks was to be decomposed.')
      }
      const eigen = eigens.get(factor) ?? decomposeFactor(factor)
      eigens.set(factor, eigen)
      return eigen
    },
    missing: () => factors.filter(factor => !eigens.has(factor)),
    keep: (factor, eigen) => {
      eigens.set(factor, eigen)
    },
  }
}

/** Whether a matrix is its own eigenbasis, so that rows of its parameters may have priors of their own. */
export function isDiagonal(size: number, matrix: Float64Array): boolean {
  return matrix.every((value, at) => value === 0 || at % (size + 1) === 0)
}

function sameNumbers(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true
  let at = a.length === b.length ? 0 : Infinity
  // A plain loop: factors have millions of numbers.
  while (at < a.length && a[at] === b[at]) at++
  return at === a.length
}
