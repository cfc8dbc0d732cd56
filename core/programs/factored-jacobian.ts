/**
 * @file The factored Jacobian of a batch: of a linear layer z = W a the pair (a, g) with g = df/dz, whose outer product
 * is never formed.
 */
import type { LinearShape } from '../network/linear-shape.js'

/**
 * The pairs of one linear operator for one batch: its Jacobian for seed k and example n is sum_t g[k,n,t,:] ⊗ a[n,t,:].
 * `a` is N x T x in, `g` is K x N x T x out, row-major; T counts the positions (1 for plain dense layers).
 */
export interface LinearFactor extends LinearShape {
  readonly kind: 'linear'
  readonly positions: number
  readonly a: Float32Array | Float64Array
  readonly g: Float32Array | Float64Array
}

/**
 * The pairs of a convolution in groups for one batch, which has a linear operator a group: `a` is N x R x G x T x in,
 * `g` is K x N x R x G x T x out. R counts the images of one example, T the positions in an image.
 */
export interface GroupedFactor extends LinearShape {
  readonly groups: number
  readonly images: number
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
  /** Convolutions in groups, where they were asked for: `factors` has no gradient of these uses then. */
  readonly grouped?: readonly GroupedFactor[]
  /** How often each example counts, where not once: the seeds have its root already, the inputs `a` do not. */
  readonly weights?: Float64Array | undefined
}
