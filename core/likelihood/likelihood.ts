/** @file What a likelihood offers: loss, gradient, Hessian with respect to the network's outputs, and its link. */
import type { RealArray } from '../kernels/linear-algebra.js'
import type { Likelihood } from '../options/words.js'
import type { RandomGenerator } from '../tensor/random.js'
import type { Observation } from './observation.js'

/**
 * The shape of Lambda_n, the Hessian of one example's negative log-likelihood with respect to its outputs:
 * the identity, a diagonal matrix, or a full C x C matrix.
 */
export type HessianPattern = 'identity' | 'diagonal' | 'dense'

/**
 * A likelihood p(y | f). Outputs `f` are N x C row-major; targets `y` are N class integers (classification), N x K
 * (heteroscedastic, K = C / 2), or N x C.
 * Sums are over the data; observation noise and temperature are applied by the posterior, not here.
 */
export interface LikelihoodModel {
  readonly name: Likelihood
  readonly hessianPattern: HessianPattern
  /** How many targets one example has: 1 class label, or one number per output. */
  targetWidth(outputs: number): number
  /** Negative log-likelihood summed over the data (sigma = 1, no normaliser). */
  loss(f: RealArray, y: Float64Array, examples: number, outputs: number): number
  /** Derivative of the loss with respect to f, N x C. */
  residual(f: RealArray, y: Float64Array, examples: number, outputs: number): Float64Array
  /** Of the dense pattern: the entries (c, d), c <= d, of all Lambda_n, N x C (C + 1) / 2, in the precision of f. */
  readonly hessianPairs?: ((f: RealArray, examples: number, outputs: number) => RealArray) | undefined
  /** The diagonals of all Lambda_n, N x C. */
  hessianDiagonal(f: RealArray, examples: number, outputs: number): Float64Array
  /**
   * The number K of seeds of one example: columns of Lambda's root (C - 1 for classification, whose Lambda has that
   * rank; else C).
   */
  seedCount(outputs: number): number
  /**
   * Seeds K x N x C with sum_k q_kn q_kn' = Lambda_n, stored in the precision of f: what the backward pass of a fit
   * starts from.
   */
  hessianSeeds(f: RealArray, examples: number, outputs: number): RealArray
  /** The sum of all Lambda_n, C x C, without forming any of them. */
  sumHessian(f: RealArray, examples: number, outputs: number): Float64Array
  /** What the log-likelihood adds to -loss / (sigma^2 T): -N C log(sigma sqrt(2 pi)) for regression, else 0. */
  logNormaliser(sigmaNoise: number, examples: number, outputs: number): number
  /** With the Hessian of these labels, where it depends on them. */
  readonly ofLabels?: ((labels: Float64Array) => LikelihoodModel) | undefined
  /** Whether predictions are Gaussians of the outputs alone, as nothing is known of a new observation. */
  readonly outputsAlone?: boolean | undefined
  /** The likelihood of labels that `draw` gives, where it is another. */
  readonly ofDrawn?: LikelihoodModel | undefined
  /** Labels drawn from p(y | f) with sigma = 1, in the form that `loss` takes. */
  draw(f: RealArray, examples: number, outputs: number, random: RandomGenerator): Float64Array
  /**
   * Probabilities (classification, binary, multilabel), means (regression), rates (poisson), means and variances
   * (heteroscedastic), N x C.
   */
  inverseLink(f: RealArray, examples: number, outputs: number): Float64Array
  /** A new observation, where it takes more than a mean and a noise of its own (regression) to say what it is. */
  readonly observation?: Observation | undefined
}
