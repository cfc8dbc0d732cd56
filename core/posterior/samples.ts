/**
 * @file The posterior that is known by draws d_k of its weights around the mean, K of them: what is asked of P^-1 is
 * estimated by B'B, the mean of d_k d_k', unbiased, with a relative standard error of sqrt(2 / K) for every variance
 * (Antoran et al. 2023, "Sampling-based inference for large linear models, with application to linearised Laplace").
 * The draws are those of one prior precision and noise.
 */
import type { SampledCurvature } from '../curvature/curvature.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import { OptionError } from '../errors/errors.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { sumOver } from '../linear-model/lanczos-quadrature.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import { outputMoments, type ProcessParts } from './posterior-parts.js'
import { aroundMean, checkSettings, once, priorByParameter, priorByTensor, priorLogDet,
  type StructuredPosterior } from './posterior.js'

/** The relative standard error of a variance that so many draws estimate. */
export function monteCarloError(draws: number): number {
  return Math.sqrt(2 / draws)
}

/** The posterior around `mean`. @throws OptionError BAD_COMBINATION for another prior precision or noise */
export function samplesPosterior(curvature: SampledCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  checkSettings(settings, slots, 'samples')
  if (!drawnFrom(curvature, settings, slots)) throw refused('another prior precision, noise or temperature')
  const { count, rows, density } = curvature
  const size = mean.length
  /** v B', N x K for the rows v. */
  const inside = (vectors: RealArray, vectorCount: number): Float64Array => {
    const result = new Float64Array(vectorCount * count)
    gemm(false, true, vectorCount, count, size, 1, like(rows, vectors), rows, 0, result)
    return result
  }
  const outside = (coordinates: Float64Array, vectorCount: number): Float64Array => {
    const result = new Float64Array(vectorCount * size)
    gemm(false, false, vectorCount, size, count, 1, like(rows, coordinates), rows, 0, result)
    return result
  }
  const parts = once((): ProcessParts => ({ kind: 'span', vectors: splitVectors(slots, rows, count) }))
  return {
    structure: 'samples',
    curvature,
    ...aroundMean(mean, slots, settings),
    withSettings: changes => samplesPosterior(curvature, slots, mean, { ...settings, ...changes }),
    logDetPrecision: once(() => priorLogDet(settings, slots) + sumOver(density, Math.log1p)),
    posteriorVariance: () => {
      const variances = new Float64Array(size)
      for (let i = 0; i < rows.length; i++) variances[i % size] += rows[i] * rows[i]
      return variances
    },
    precisionMatrix: () => {
      throw refused('a precision matrix')
    },
    covarianceTimes: (vectors, vectorCount) => outside(inside(vectors, vectorCount), vectorCount),
    whiten: inside,
    sample: (draws, random) =>
      outside(random.fillNormal(new Float64Array(draws * count)), draws).map((value, i) => value + mean[i % size]),
    logProb: () => {
      throw refused('a density over the weights')
    },
    parts,
    lastLayerVariance: (features, examples, kind) =>
      outputMoments(parts(), slots, lastLayerJacobian(slots, features, examples), kind).variance,
    spectrum: () => {
      const delta = priorByTensor(settings, slots)
      if (delta === undefined || delta.some(value => value !== delta[0])) throw refused('a spectrum of H')
      const { values, multiplicities } = density
      const unit = delta[0] / hessianFactor(settings)
      return { values: [values.map(value => value * unit)], byTensor: false, multiplicities }
    },
  }
}

/** Whether the draws are those of P with these settings. */
function drawnFrom({ precision, factor }: SampledCurvature, settings: PosteriorSettings,
  slots: readonly ParameterSlot[]): boolean {
  if (factor !== hessianFactor(settings)) return false
  const { priorPrecision } = settings
  if (typeof priorPrecision === 'number' && typeof precision === 'number') return priorPrecision === precision
  const [own, asked] = [precision, priorPrecision].map(each =>
    priorByParameter({ ...settings, priorPrecision: each }, slots)
  )
  return own.every((value, i) => value === asked[i])
}

function refused(what: string): OptionError {
  return new OptionError('BAD_COMBINATION',
    `A posterior of structure 'samples' is known by draws of the weights under the prior precision and noise of its `
      + `fit, which do not give ${what}. Fit again with those settings, or with structure 'lowrank' and a rank, `
      + "'kron' or 'diag', which take any.", { option: 'structure', value: 'samples' })
}

/** The numbers in the precision of others, which products are fast in. */
function like(others: RealArray, values: RealArray): RealArray {
  return others instanceof Float32Array && !(values instanceof Float32Array) ? Float32Array.from(values) : values
}
