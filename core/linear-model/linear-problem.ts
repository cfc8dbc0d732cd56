/**
 * @file The linear model over all weights: f_lin(w) = f + J (w - theta) = f0 + J w on the training rows, w ~ N(mu,
 * I/delta) with a likelihood on its outputs (Immer, Korzepa and Bauer 2021). It is a convex problem with a mode of
 * its own.
 */
import { addTransposedProduct, jacobianTimes } from '../curvature/jacobian-products.js'
import { joinVectors, splitVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import { InternalError } from '../errors/errors.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { parameterCount, type ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'

/** Labels of N rows and the likelihood that takes them. */
export interface LabelledRows {
  readonly likelihood: LikelihoodModel
  readonly examples: number
  /** C. */
  readonly outputs: number
  /** As the likelihood takes them. */
  readonly labels: Float64Array
}

/** The linear model on N rows. */
export interface LinearProblem extends LabelledRows {
  readonly slots: readonly ParameterSlot[]
  /** The network's outputs, N x C. */
  readonly f: Float64Array
  /** f - J (theta - mu): the outputs at the prior's mean, N x C. */
  readonly f0: Float64Array
  /** With one-hot seeds. */
  readonly jacobian: FactoredJacobian
  /** Rows of each example, where an example has several: they are left out together. One each where it is absent. */
  readonly sizes?: Int32Array | undefined
  /** theta - mu, P: the network's own weights, from which the first mode is sought. */
  readonly deviation: Float64Array
}

/** The mode of a linear model for one prior precision. */
export interface LinearMode {
  /** f_lin at the mode, N x C. */
  readonly f: Float64Array
  readonly loss: number
  /** |w - mu|^2. */
  readonly squaredNorm: number
}

/** Rows that the linear model was not fitted to. */
export interface OtherRows {
  /** The network's outputs less J (theta - mu), M x C: the outputs at the prior's mean. */
  readonly f0: Float64Array
  /** With one-hot seeds. */
  readonly jacobian: FactoredJacobian
}

/** What a linear model says of other rows. */
export interface OutputsElsewhere {
  /** f_lin, M x C. */
  readonly f: Float64Array
  /** M x C x C. */
  readonly covariance: Float64Array
}

/** f - J (theta - mu) of rows with a Jacobian: the outputs at the prior's mean. */
export function outputsAtPrior(slots: readonly ParameterSlot[], jacobian: FactoredJacobian, f: Float64Array,
  deviation: Float64Array): Float64Array {
  const moved = jacobianTimes(jacobian, splitVectors(slots, deviation, 1))
  return f.map((value, i) => value - moved[i])
}

/**
 * A linear model that can be solved exactly, in function space or in weight space. Every call after `mode` speaks of
 * the last mode.
 */
export interface LinearSpace {
  /**
   * The mode, sought from the last one.
   * @param tolerance largest change of an output in the last step, relative to the largest output
   * @throws NumericalError NO_CONVERGENCE; CancelledError
   */
  mode(delta: number, tolerance?: number): Promise<LinearMode>
  /** gamma = tr H (H + delta)^-1: how many parameters the data determine. */
  effectiveParameters(): number
  /** J_n P^-1 J_n' of every training row, N x C x C. */
  covariances(): Float64Array
  /** The outputs of other rows and their covariances J P^-1 J'; what does not change with the mode is kept. */
  elsewhere(rows: OtherRows): OutputsElsewhere
  /** w - mu, P. */
  weights(): Float64Array
  /** log |H + delta| - log |delta|. */
  logDetRatio(): number
  /**
   * U with P^-1 = (I - U'U) / delta, r x P: the leading eigenvectors of H with eigenvalue l, scaled by
   * sqrt(l / (l + delta)).
   * @param threshold eigenvalues below threshold times delta are left out
   * @param most the largest rank: only so many of the largest are kept
   */
  factor(threshold: number, most?: number): { readonly rank: number, readonly rows: Float64Array }
}

/**
 * The problem at a network's weights.
 * @param deviation theta - mu, P
 */
export function linearProblem(likelihood: LikelihoodModel, slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  f: Float64Array, labels: Float64Array, deviation: Float64Array): LinearProblem {
  const { examples, seeds: outputs } = jacobian
  return { likelihood, slots, examples, outputs, f, labels, jacobian, deviation,
    f0: outputsAtPrior(slots, jacobian, f, deviation) }
}

/** J' u, P. */
export function transposedTimes({ slots, jacobian }: LinearProblem, u: Float64Array): Float64Array {
  const vectors = zeroVectors(slots, 1)
  addTransposedProduct(vectors, jacobian, u)
  return joinVectors(slots, vectors)
}

/** The mode that was found last. @throws InternalError where none was sought */
export function found<Mode>(mode: Mode | undefined): Mode {
  if (mode === undefined) throw new InternalError('A linear model was asked about its mode before it was sought.')
  return mode
}

/** Number of weights P. */
export function problemSize({ slots }: LinearProblem): number {
  return parameterCount(slots)
}
