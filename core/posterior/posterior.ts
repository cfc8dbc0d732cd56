/** @file The Gaussian posterior N(mean, P^-1) with P = H / (sigma^2 T) + diag(delta): what every structure offers. */
import type { PosteriorCurvature } from '../curvature/curvature.js'
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { Structure } from '../options/words.js'
import type { RandomGenerator } from '../tensor/random.js'
import type { FactorEigens } from './factor-eigen.js'
import type { PosteriorParts, ProcessParts } from './posterior-parts.js'
import type { VarianceKind } from './variance-kind.js'

/** Mean and variance of every weight, one posterior after another: one in all, or one for each output. */
export interface Marginals {
  readonly means: Float64Array
  readonly variances: Float64Array
}

/** A posterior over the parameters of the slots. Nothing is computed before it is asked for; results are kept. */
export interface StructuredPosterior {
  readonly structure: Structure
  /** Number of parameters P. */
  readonly size: number
  readonly slots: readonly ParameterSlot[]
  readonly curvature: PosteriorCurvature
  readonly mean: Float64Array
  readonly settings: PosteriorSettings
  /** The posterior with other settings; eigen-decompositions are shared. */
  withSettings(changes: Partial<PosteriorSettings>): StructuredPosterior
  /** The decompositions that all else waits for, where there are any: they may be made ahead, by other threads. */
  factors?(): FactorEigens
  /** log |P|. @throws NumericalError NOT_POSITIVE_DEFINITE */
  logDetPrecision(): number
  /** log |P0|. */
  logDetPrior(): number
  /** (mean - mu0)' P0 (mean - mu0). */
  scatter(): number
  /** The diagonal of P^-1. */
  posteriorVariance(): Float64Array
  /** Where each output has a posterior of its own, independent of the others: these, C of them. */
  readonly byOutput?: readonly StructuredPosterior[]
  /** Where each output has a posterior of its own: the mean and variance of every weight, C x P, one after another. */
  marginals?(): Marginals
  /** P as a dense P x P matrix (small networks). */
  precisionMatrix(): Float64Array
  /**
   * t where P is used as P + t diag(P), because rounding leaves it singular; 0, or left out, where P is used as it is.
   * @throws NumericalError NOT_POSITIVE_DEFINITE
   */
  jitter?(): number
  /** P^-1 applied to `count` vectors, the rows of a count x P matrix. */
  covarianceTimes(vectors: Float64Array, count: number): Float64Array
  /** R, count rows, with R R' = V P^-1 V' for the rows V (count x P): J's rows give the outputs' joint covariance. */
  whiten(vectors: Float64Array, count: number): Float64Array
  /** Draws of theta: count x P. */
  sample(count: number, random: RandomGenerator): Float64Array
  /** Log density at theta. */
  logProb(theta: Float64Array): number
  /** What `outputVariance` needs; the same object every time. */
  parts(): PosteriorParts
  /** J P^-1 J' of each example for a last-layer posterior from the layer's inputs, N x D, without any Jacobian. */
  lastLayerVariance(features: RealArray, examples: number, kind: VarianceKind): Float64Array
  /** The spectrum that tuning works on. */
  spectrum(): Spectrum
}

/** Mean, settings and the prior's terms, which are the same in every structure. */
export function aroundMean(mean: Float64Array, slots: readonly ParameterSlot[],
  settings: PosteriorSettings
): Pick<StructuredPosterior, 'size' | 'slots' | 'mean' | 'settings' | 'logDetPrior' | 'scatter'> {
  return { size: mean.length, slots, mean, settings, logDetPrior: () => priorLogDet(settings, slots),
    scatter: () => priorScatter(mean, settings, slots) }
}

/** Log density of a Gaussian over `size` numbers at a squared distance d' P d. */
export function logDensity(size: number, logDetPrecision: number, squaredDistance: number): number {
  return -0.5 * (size * Math.log(2 * Math.PI) - logDetPrecision + squaredDistance)
}

/** The posterior of a process over the outputs, or of one of them. */
export interface ProcessPosterior extends StructuredPosterior {
  parts(): ProcessParts
}

/**
 * Eigenvalues of H (clamped at 0) when they can be given per tensor: kron and diag. A full H has one list for all its
 * tensors, and then a prior that differs between tensors needs the matrix. Where outputs have posteriors of their own
 * the list has those of all, which may be more than P.
 */
export interface Spectrum {
  /** One list for each tensor, or a single one for a full H. */
  readonly values: readonly Float64Array[]
  readonly byTensor: boolean
  /** How often each value of a single list counts, where that is estimated; all others are 0. */
  readonly multiplicities?: Float64Array | undefined
}

/**
 * The prior precision of every tensor as one number, or undefined when it differs within a tensor.
 * @throws OptionError BAD_OPTION when it is not positive, or has neither one value, one per tensor, nor one per
 * parameter
 */
export function priorByTensor(settings: PosteriorSettings, slots: readonly ParameterSlot[]): Float64Array | undefined {
  const { priorPrecision } = settings
  if (typeof priorPrecision === 'number' || priorPrecision.length === 1) {
    return new Float64Array(slots.length).fill(typeof priorPrecision === 'number' ? priorPrecision : priorPrecision[0])
  }
  return priorPrecision.length === slots.length ? priorPrecision : undefined
}

/** The prior precision of every parameter. */
export function priorByParameter(settings: PosteriorSettings, slots: readonly ParameterSlot[]): Float64Array {
  const perTensor = priorByTensor(settings, slots)
  if (perTensor === undefined) return settings.priorPrecision as Float64Array
  const result = new Float64Array(slots.reduce((sum, slot) => sum + slot.size, 0))
  slots.forEach((slot, i) => result.fill(perTensor[i], slot.offset, slot.offset + slot.size))
  return result
}

/** Between these, squares of settings and products of all of them can be held. */
const [LEAST_SETTING, MOST_SETTING] = [1e-100, 1e100]

/** Whether a hyper-parameter is positive, and its squares can be held. */
function representable(value: number): boolean {
  return value >= LEAST_SETTING && value <= MOST_SETTING
}

/**
 * Checks the settings against the parameters.
 * @throws OptionError BAD_OPTION naming the option, what is allowed and what was found
 */
export function checkSettings(settings: PosteriorSettings, slots: readonly ParameterSlot[],
  structure: Structure): void {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  const { priorPrecision, priorMean, sigmaNoise, temperature } = settings
  const precisions = typeof priorPrecision === 'number' ? [priorPrecision] : priorPrecision
  const byRow = (structure !== 'kron' && structure !== 'ekfac') ||
    precisions.length === size && constantOverRows(precisions, slots)
  const allowed = byRow ? [1, slots.length, size] : [1, slots.length]
  if (!allowed.includes(precisions.length)) {
    throw new OptionError('BAD_OPTION',
      `Option priorPrecision of a ${structure} posterior takes one number, or one for each of the ${slots.length} ` +
        `tensors${byRow ? `, or one for each of the ${size} parameters` : ''}; ` +
        `got ${precisions.length} numbers.` +
        (structure === 'kron' && precisions.length === size
          ? ' Use structure full or diag for one per parameter.'
          : ''), { option: 'priorPrecision', value: precisions.length, allowed })
  }
  const bad = precisions.findIndex(value => !representable(value))
  if (bad >= 0) throw positive('priorPrecision', precisions[bad], precisions.length > 1 ? ` at index ${bad}` : '')
  if (typeof priorMean !== 'number' && priorMean.length !== size) {
    throw new OptionError('BAD_OPTION',
      `Option priorMean takes one number, or one for each of the ${size} parameters; got ${priorMean.length} numbers.`,
      { option: 'priorMean', value: priorMean.length })
  }
  if ((typeof priorMean === 'number' ? [priorMean] : priorMean).some((value: number) =>
    !(Math.abs(value) <= MOST_SETTING)
  )) {
    throw new OptionError('BAD_OPTION', `Option priorMean must be finite, and at most ${MOST_SETTING}.`, {
      option: 'priorMean',
    })
  }
  if (!representable(sigmaNoise)) throw positive('sigmaNoise', sigmaNoise, '')
  if (!representable(temperature)) throw positive('temperature', temperature, '')
}

/** Whether all parameters of a row, out x in, have one precision. */
function constantOverRows(precisions: ArrayLike<number>, slots: readonly ParameterSlot[]): boolean {
  return slots.every(({ offset, size, shape: [out = 1] }) => {
    const width = Math.max(1, Math.floor(size / Math.max(1, out)))
    return Array.from({ length: size }, (_, i) => i).every(i =>
      precisions[offset + i] === precisions[offset + i - i % width]
    )
  })
}

function positive(option: string, value: number, where: string): OptionError {
  const range = value > 0 && value < Infinity
    ? ` Beyond ${LEAST_SETTING} and ${MOST_SETTING} its squares cannot be held.`
    : ''
  return new OptionError('BAD_OPTION',
    `Option ${option} must be positive and finite; got ${shown(value)}${where}.${range}`, { option, value })
}

/** (theta - mu0) of every parameter. */
export function deviation(theta: Float64Array, settings: PosteriorSettings): Float64Array {
  const { priorMean } = settings
  return theta.map((value, i) => value - (typeof priorMean === 'number' ? priorMean : priorMean[i]))
}

/** (theta - mu0)' P0 (theta - mu0). */
export function priorScatter(theta: Float64Array, settings: PosteriorSettings,
  slots: readonly ParameterSlot[]): number {
  const precision = priorByParameter(settings, slots)
  return deviation(theta, settings).reduce((sum, d, i) => sum + precision[i] * d * d, 0)
}

/** log |P0|. */
export function priorLogDet(settings: PosteriorSettings, slots: readonly ParameterSlot[]): number {
  const perTensor = priorByTensor(settings, slots)
  if (perTensor === undefined) return priorByParameter(settings, slots).reduce((sum, value) => sum + Math.log(value), 0)
  // Times the size of the tensor: without it the evidence would still have a maximum, at another delta.
  return slots.reduce((sum, slot, i) => sum + slot.size * Math.log(perTensor[i]), 0)
}

/** Keeps the result of the first call. */
export function once<T>(compute: () => T): () => T {
  let result: { readonly value: T } | undefined
  return () => (result ??= { value: compute() }).value
}
