/** @file Posterior with a full precision matrix, through its Cholesky factor. */
import type { Curvature } from '../curvature/curvature.js'
import { NumericalError } from '../errors/errors.js'
import { jitteredCholesky, type JitteredFactor } from '../kernels/jittered-cholesky.js'
import { choleskyInverse, gemm, symmetricEigenvalues, transposed, triangularSolve,
  triangularSolveRight } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import type { RandomGenerator } from '../tensor/random.js'
import { lastLayerVariance, singleOutputVariance } from './posterior-parts.js'
import { aroundMean, checkSettings, logDensity, once, priorByParameter, type StructuredPosterior } from './posterior.js'

type FullCurvature = Extract<Curvature, { structure: 'full' }>

/** The posterior of a full curvature; its Cholesky factor and inverse are made when they are first needed. */
export function fullPosterior(curvature: FullCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  return fullPosteriorWith(curvature, once(() => eigenvalues(curvature)), slots, mean, settings)
}

function fullPosteriorWith(curvature: FullCurvature, values: () => Float64Array, slots: readonly ParameterSlot[],
  mean: Float64Array, settings: PosteriorSettings): StructuredPosterior {
  checkSettings(settings, slots, 'full')
  const size = mean.length
  const precision = (): Float64Array => precisionOf(curvature, slots, settings)
  const factored = once(() => factorOf(precision, size))
  const factor = (): Float64Array => factored().lower
  const logDetPrecision = once(() => logDetOf(factor(), size))
  const covariance = once(() => choleskyInverse(size, factor()))
  return {
    structure: 'full',
    curvature,
    ...aroundMean(mean, slots, settings),
    withSettings: changes => fullPosteriorWith(curvature, values, slots, mean, { ...settings, ...changes }),
    logDetPrecision,
    posteriorVariance: () => Float64Array.from({ length: size }, (_, i) => covariance()[i * size + i]),
    precisionMatrix: precision,
    jitter: () => factored().jitter,
    covarianceTimes: (vectors, count) => {
      const columns = solveLower(factor(), size, vectors, count)
      triangularSolve(true, size, count, factor(), columns)
      return transposed(columns, size, count)
    },
    whiten: (vectors, count) => whiten(factor(), size, vectors, count),
    sample: (count, random) => draw(factor(), mean, count, random),
    logProb: theta => logDensity(size, logDetPrecision(), squaredNorm(factor(), theta, mean)),
    parts: once(() => ({ kind: 'factors', blocks: [{ slots: slots.map((_, slot) => slot), lower: factor() }] })),
    lastLayerVariance: (features, examples, kind) =>
      singleOutputVariance(factor(), slots, features, examples, kind) ??
        lastLayerVariance({ kind: 'covariance', covariance: covariance() }, slots, features, examples, kind),
    spectrum: () => ({ values: [values()], byTensor: false }),
  }
}

/** Eigenvalues below 0 by more than this share of the largest are no rounding. */
const ROUNDING = 1e-8

/** @throws NumericalError NOT_POSITIVE_DEFINITE for a Hessian that is indefinite: no evidence has a maximum there */
function eigenvalues({ size, matrix }: FullCurvature): Float64Array {
  const values = symmetricEigenvalues(size, matrix)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  if (least < -ROUNDING * most) {
    throw new NumericalError('NOT_POSITIVE_DEFINITE',
      `The curvature is indefinite: its eigenvalues go from ${least.toPrecision(3)} to ${most.toPrecision(3)}, so that `
        + "the network is at no minimum of its loss, and the prior precision cannot be tuned by 'marglik'. Give one "
        + "that is larger, or use curvature 'ggn', which is never negative.", { least, most, size })
  }
  // Rounding puts zeros of a singular H a little below 0: log(s l + delta) would be NaN for a small delta.
  return values.map(value => Math.max(0, value))
}

function precisionOf({ matrix, size }: FullCurvature, slots: readonly ParameterSlot[],
  settings: PosteriorSettings): Float64Array {
  const factor = hessianFactor(settings)
  // A copy: the Cholesky factor replaces it, and H is needed again for other hyper-parameters.
  const precision = matrix.slice()
  if (factor !== 1) { for (let i = 0; i < precision.length; i++) precision[i] *= factor }
  const prior = priorByParameter(settings, slots)
  for (let i = 0; i < size; i++) precision[i * size + i] += prior[i]
  return precision
}

/** @throws NumericalError NOT_POSITIVE_DEFINITE with the index of the pivot */
function factorOf(precision: () => Float64Array, size: number): JitteredFactor {
  const factored = jitteredCholesky(size, precision)
  if ('lower' in factored) return factored
  const { pivot, diagonal } = factored
  throw new NumericalError('NOT_POSITIVE_DEFINITE',
    `The posterior precision (${size} x ${size}) is not positive definite: its Cholesky factorisation stopped at ` +
      `pivot ${pivot} (diagonal entry ${diagonal}), by more than rounding. Use a larger prior precision, another ` +
      'curvature (ggn is never negative), or structure kron or diag.', { pivot, diagonal, size })
}

function logDetOf(lower: Float64Array, size: number): number {
  let sum = 0
  for (let i = 0; i < size; i++) sum += Math.log(lower[i * size + i])
  return 2 * sum
}

/** V L^-T for the rows V, count x size: R R' = V P^-1 V'. */
function whiten(lower: Float64Array, size: number, vectors: Float64Array, count: number): Float64Array {
  const rows = vectors.slice()
  triangularSolveRight(size, count, lower, rows)
  return rows
}

/** L^-1 V' for the rows V, count x size: size x count. */
function solveLower(lower: Float64Array, size: number, vectors: Float64Array, count: number): Float64Array {
  const columns = transposed(vectors, count, size)
  triangularSolve(false, size, count, lower, columns)
  return columns
}

function draw(lower: Float64Array, mean: Float64Array, count: number, random: RandomGenerator): Float64Array {
  const size = mean.length
  const columns = transposed(random.fillNormal(new Float64Array(count * size)), count, size)
  // L' x = z, not L x = z: both give Gaussian draws, but only the first ones have the covariance P^-1.
  triangularSolve(true, size, count, lower, columns)
  const result = transposed(columns, size, count)
  for (let n = 0; n < count; n++) for (let i = 0; i < size; i++) result[n * size + i] += mean[i]
  return result
}

/** |L' (theta - mean)|^2. */
function squaredNorm(lower: Float64Array, theta: Float64Array, mean: Float64Array): number {
  const size = mean.length
  const product = new Float64Array(size)
  gemm(true, false, size, 1, size, 1, lower, theta.map((value, i) => value - mean[i]), 0, product)
  return product.reduce((sum, value) => sum + value * value, 0)
}
