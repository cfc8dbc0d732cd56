/**
 * @file The curvature of the loss at the network's weights: its three shapes, and the sums that a fit accumulates.
 *
 * A partial fit holds *sums* over the data, so that adding two of them (`merge`) is all that batches, threads and
 * machines need. `A` factors are kept as sums too, with the number of rows (examples times positions) beside them.
 */

/** Curvature block of one parameter tensor, as B ⊗ A for a row-major out x in weight. */
export type KronBlock =
  /** A weight of a linear operator: B is out x out, A is in x in; `rows` is the number of (example, position) rows in A's sum. */
  | { readonly kind: 'weight', readonly name: string, readonly out: number, readonly in: number, readonly B: Float64Array, readonly A: Float64Array, readonly rows: number }
  /** A bias (equal to its weight's B), or a small tensor outside of linear operators: one dense matrix. */
  | { readonly kind: 'dense', readonly name: string, readonly out: number, readonly B: Float64Array }
  /** A large tensor outside of linear operators. */
  | { readonly kind: 'diagonal', readonly name: string, readonly diagonal: Float64Array }

/** The data term of the Hessian, without prior, noise or temperature: sum over examples of J' Lambda J. */
export type Curvature =
  | { readonly structure: 'full', readonly size: number, readonly matrix: Float64Array }
  | { readonly structure: 'diag', readonly size: number, readonly diagonal: Float64Array }
  | { readonly structure: 'kron', readonly size: number, readonly blocks: readonly KronBlock[] }

/**
 * The pairs of one linear operator for one batch: its Jacobian for seed k and example n is sum_t g[k,n,t,:] ⊗ a[n,t,:].
 * `a` is N x T x in, `g` is K x N x T x out, row-major; T counts the positions (1 for plain dense layers).
 */
export interface LinearFactor {
  readonly kind: 'linear'
  /** Index of the weight among the parameters of the subset. */
  readonly weight: number
  /** Index of the bias, or -1. */
  readonly bias: number
  readonly in: number
  readonly out: number
  readonly positions: number
  readonly a: Float32Array | Float64Array
  readonly g: Float32Array | Float64Array
}

/** Per-example gradients of a parameter that no linear operator uses: K x N x size. */
export interface DirectFactor {
  readonly kind: 'direct'
  readonly parameter: number
  readonly gradient: Float32Array | Float64Array
}

/** The Jacobian of a batch in factored form: `seeds` rows per example. A parameter used twice occurs twice. */
export interface FactoredJacobian {
  readonly seeds: number
  readonly examples: number
  readonly factors: readonly (LinearFactor | DirectFactor)[]
}

/** A parameter tensor of the chosen subset: its place in theta's part. */
export interface ParameterSlot { readonly name: string, readonly shape: readonly number[], readonly offset: number, readonly size: number }
