/**
 * @file The operations that the variances of the outputs are written in (functional-variance.ts).
 * Kernels carry them out on arrays (kernel-operations.ts); a graph can write the same operations as nodes.
 */
import type { LinearShape } from '../network/linear-shape.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { TensorBlocks, WeightedBlock } from './eigen-block.js'
import type { Eigenbasis } from './eigenbasis.js'

/** A matrix of the posterior, row-major: the same for every example. */
export interface PosteriorMatrix {
  readonly values: Float64Array
  readonly rows: number
  readonly columns: number
}

/** A linear operator's pair (a, g): `a` is N x T x in, `g` is C x N x T x out, T counts the positions. */
export interface LinearPair<A> extends LinearShape {
  readonly kind: 'linear'
  readonly positions: number
  readonly a: A
  readonly g: A
}

/** The gradients of a parameter that no linear operator uses, C x N x size. */
export interface DirectGradient<A> {
  readonly kind: 'direct'
  readonly parameter: number
  readonly gradient: A
}

/** All that uses one parameter; its Jacobians add. */
export interface UsesOf<A> {
  readonly slot: number
  readonly asWeight: readonly LinearPair<A>[]
  readonly asBias: readonly LinearPair<A>[]
  readonly direct: readonly DirectGradient<A>[]
}

/**
 * One term of J P^-1 J': for every example n and outputs c, c' the sum over k of R[c, n, k] R[c', n, k] w[n, k].
 * The kinds say which of R and w differ between the examples; it is one formula for all of them.
 */
export type VarianceTerm<A, J> =
  /** R is C x N x K, w is N x K: rotated output gradients and what the inputs contribute. */
  | { readonly kind: 'pair', readonly rows: A, readonly weights: A }
  /** R are the products of the pair of one operator that is applied at several positions, in the block's eigenbasis. */
  | { readonly kind: 'operator', readonly pair: LinearPair<A>, readonly block: WeightedBlock }
  /** R are rows of a Jacobian that is written out; w is 1 x K, or ones where it is undefined. */
  | { readonly kind: 'jacobian', readonly rows: J, readonly weights: PosteriorMatrix | undefined }
  /** R is C x K for all examples, the identity where it is undefined; w is N x K or 1 x K. */
  | { readonly kind: 'shared', readonly rows: PosteriorMatrix | undefined, readonly weights: A | PosteriorMatrix }

/** A term whose rows are there. */
export type WrittenTerm<A, J> = Exclude<VarianceTerm<A, J>, { readonly kind: 'operator' }>

/** How a product reads its matrix, and the 1 x n row that is added to every row of the result. */
export interface ProductOptions {
  readonly transposed?: boolean
  readonly plus?: PosteriorMatrix | undefined
}

/**
 * The operations on arrays A, on the rows J of Jacobians that are written out, and on the variances V that come out.
 * All results belong to one evaluation: implementations may keep them in memory that the next evaluation overwrites.
 * No operation changes its operands.
 */
export interface VarianceOperations<A, J, V> {
  /** x M, or x M', for x of ... x k; the precision of x is that of the result. */
  product(x: A, matrix: PosteriorMatrix, options?: ProductOptions): A
  /** The coordinates of the rows of x in a basis. */
  rotate(x: A, basis: Eigenbasis): A
  /** The gradients of a tensor, ... x size, in the eigenbases of its blocks. */
  rotateTensor(x: A, blocks: TensorBlocks): A
  /** Gradients C x N x T x out, added up over the positions: C x N x out. */
  overPositions(g: A, shape: Pick<LinearPair<A>, 'positions' | 'out'>): A
  /** x^2, element by element. */
  square(x: A): A
  /** (x, 1): x of N x D with a column of ones behind it when the layer has a bias. */
  withOnes(x: A, bias: boolean): A
  /**
   * The Jacobian of the slots, C x N x P: for every slot the sum of g[t] outer a[t] over positions and pairs that use
   * it as their weight, of g[t] over those that use it as their bias, and of its direct gradients.
   */
  jacobian(slots: readonly ParameterSlot[], factors: readonly (LinearPair<A> | DirectGradient<A>)[]): J
  /** R = J L^-T for a lower-triangular L of P x P: R R' = J (L L')^-1 J'. */
  whiten(rows: J, lower: PosteriorMatrix): J
  /** x' S[c, c'] x of every row of x, N x W; row c of `places`, C x W, has the places of output c's numbers in S. */
  quadraticForms(x: A, matrix: PosteriorMatrix, places: Int32Array): V
  /** The sum of the terms: N x C variances or N x C x C covariances. Terms are taken one at a time. */
  total(terms: Iterable<VarianceTerm<A, J>>): V
}
