/**
 * @file The curvature of the loss at the network's weights: its shapes, and the sums that a fit accumulates.
 *
 * A partial fit holds *sums* over the data, so that adding two of them (`merge`) is all that batches, threads and
 * machines need. `A` factors are kept as sums too, with the number of rows (examples times positions) beside them.
 */
import { type Structure, SUM_STRUCTURES } from '../options/words.js'
import type { WeightPrior } from './scaled-jacobian.js'

/** Curvature block of one parameter tensor, as B ⊗ A for a row-major out x in weight. */
export type KronBlock =
  /**
   * A weight of a linear operator: B is out x out, A is in x in; `rows` is the number of (example, position) rows in
   * A's sum, each as often as its example counts.
   * A is divided by `rows` where it is used: a sum of means would give every partial fit the same weight, whatever its
   * size.
   */
  | { readonly kind: 'weight', readonly name: string, readonly out: number, readonly in: number,
    readonly B: Float64Array, readonly A: Float64Array, readonly rows: number }
  /** A bias (equal to its weight's B), or a small tensor outside of linear operators: one dense matrix. */
  | { readonly kind: 'dense', readonly name: string, readonly out: number, readonly B: Float64Array }
  /** A large tensor outside of linear operators. */
  | { readonly kind: 'diagonal', readonly name: string, readonly diagonal: Float64Array }
  /** The weight or the bias of a convolution in groups: the blocks of its groups, as if each were a layer. */
  | { readonly kind: 'grouped', readonly name: string, readonly parts: readonly KronBlock[] }

/** The curvature of some tensors together: a symmetric matrix in their own coordinates, one tensor after another. */
export interface DenseBlock {
  /** The tensors' places among the slots, ascending. */
  readonly slots: readonly number[]
  readonly matrix: Float64Array
}

/** The data term of the Hessian, without prior, noise or temperature: sum over examples of J' Lambda J. */
export type Curvature =
  | { readonly structure: 'full', readonly size: number, readonly matrix: Float64Array }
  | { readonly structure: 'diag', readonly size: number, readonly diagonal: Float64Array }
  | { readonly structure: 'kron', readonly size: number, readonly blocks: readonly KronBlock[] }
  | { readonly structure: 'blockdiag', readonly size: number, readonly blocks: readonly DenseBlock[] }

/**
 * The posterior of one linear model over all weights: N(weights, (I - U'U) / delta) for the outputs that it explains.
 * Not a sum over data: its mode, prior and noise belong together.
 */
export interface LowRankModel {
  /** All outputs together, or one of a regression. */
  readonly outputs: readonly number[]
  readonly delta: number
  /** sigma; 1 where the likelihood has no noise. */
  readonly sigma: number
  /** w_lin, P. */
  readonly weights: Float64Array
  readonly rank: number
  /** U, rank x P: the leading eigenvectors of the curvature with eigenvalue l, scaled by sqrt(l / (l + delta)). */
  readonly rows: Float64Array
  /** log |P| - log |P0|, with what U leaves out. */
  readonly logDetRatio: number
  /** gamma. */
  readonly effectiveParameters: number
  /** log p(D) of the linear model at its mode. */
  readonly evidence: number
}

/**
 * The curvature at the network's weights: a sum over data, a sum in the eigenbases of another one, or some of its rows.
 */
export type NetworkCurvature = Curvature | EkfacCurvature | FactoredCurvature | ProcessCurvature | SampledCurvature

/**
 * Kronecker factors whose products of eigenvalues are replaced by what the data have in their eigenbases, the sum of
 * (U_B' g a' U_A)^2 (George et al. 2018): the diagonal of H there.
 */
export interface EkfacCurvature {
  readonly structure: 'ekfac'
  readonly size: number
  readonly blocks: readonly KronBlock[]
  /** P numbers, tensor by tensor, out x in. */
  readonly values: Float64Array
}

/** The curvature of a posterior: that at the network's weights, or that of a linear model at its mode. */
export type PosteriorCurvature = NetworkCurvature | LowRankCurvature

/** H = V'V by the rows V of a part of the data (`functional`), or by its leading eigenvectors (`lowrank`). */
export interface FactoredCurvature {
  readonly structure: 'factored'
  readonly of: 'functional' | 'lowrank'
  readonly size: number
  readonly rank: number
  /** V, rank x P. */
  readonly rows: Float64Array
}

/**
 * What is known of H by draws of the weights from the posterior of one prior precision and noise, without H: the draws,
 * and the eigenvalues of H in units of the prior as far as they tell.
 */
export interface SampledCurvature {
  readonly structure: 'samples'
  readonly size: number
  readonly count: number
  /** Draws of the weights around the mean over sqrt(count), count x P, in the network's precision. */
  readonly rows: Float64Array | Float32Array
  /** The prior precision that they are of: one number, one a tensor, or one a parameter. */
  readonly precision: number | Float64Array
  /** 1 / (sigma^2 T) that they are of. */
  readonly factor: number
  /** The eigenvalues of H factor / precision, each as often as it counts. */
  readonly density: { readonly values: Float64Array, readonly multiplicities: Float64Array }
}

/**
 * H of a process over the outputs that is no Gaussian over one set of weights with a precision: one part for all
 * outputs, or one an output.
 */
export interface ProcessCurvature {
  readonly structure: 'process'
  readonly size: number
  readonly parts: readonly ProcessPart[]
}

/** H = V'V; or, with Nystroem, H = R' diag(l) R in the span of orthonormal rows R, outside of which nothing varies. */
export interface ProcessPart {
  readonly rank: number
  /** V or R, rank x P. */
  readonly rows: Float64Array
  /** l, `rank` of them. */
  readonly values?: Float64Array
}

/** Whether a curvature is a sum over data, to which others can be added. */
export function isSum(curvature: PosteriorCurvature): curvature is Curvature {
  return SUM_STRUCTURES.some(structure => structure === curvature.structure)
}

/** The user's word for the structure of a curvature. */
export function structureOf(curvature: PosteriorCurvature): Structure {
  if (curvature.structure === 'process') return 'functional'
  return curvature.structure === 'factored' ? curvature.of : curvature.structure
}

/** The linear model over all weights, one for all outputs, or one an output. */
export interface LowRankCurvature {
  readonly structure: 'lowrank'
  readonly size: number
  readonly models: readonly LowRankModel[]
  /** The prior's mean and scales, in whose units U and delta are; as they are where there is none. */
  readonly prior?: WeightPrior | undefined
}
