/**
 * @file The posterior whose weights vary in the span of orthonormal rows R alone, K of them: the prior is
 * N(mu0, R'R / delta), which approximates the kernel J J' / delta of the outputs by Nystroem's J R'R J' / delta (Deng,
 * Zhou and Zhu 2022, "Accelerated linearized Laplace approximation for Bayesian deep learning"). With
 * H = R' diag(l) R there and s = 1 / (sigma^2 T), P^-1 = R' diag(1 / (delta + s l)) R = B'B.
 */
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import { OptionError } from '../errors/errors.js'
import { gemm } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import { outputMoments, type ProcessParts } from './posterior-parts.js'
import { aroundMean, checkSettings, once, priorLogDet, type ProcessPosterior } from './posterior.js'

/** Orthonormal rows R, rank x P, and the eigenvalues l of H there. */
export interface SpannedCurvature {
  readonly rank: number
  readonly rows: Float64Array
  readonly values: Float64Array
}

/** The posterior around `mean`. @throws OptionError BAD_OPTION also for more than one prior precision */
export function spanPosterior(spanned: SpannedCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): ProcessPosterior {
  checkSettings(settings, slots, 'functional')
  const { rank, rows, values } = spanned
  const size = mean.length
  const delta = onePrecision(settings)
  const scale = hessianFactor(settings)
  const deviations = values.map(value => 1 / Math.sqrt(delta + scale * value))
  const B = once(() => rows.map((value, i) => value * deviations[Math.floor(i / size)]))
  /** The rows v B', count x K. */
  const inside = (vectors: Float64Array, count: number): Float64Array => {
    const result = new Float64Array(count * rank)
    gemm(false, true, count, rank, size, 1, vectors, B(), 0, result)
    return result
  }
  const outside = (coordinates: Float64Array, count: number, by: Float64Array): Float64Array => {
    const result = new Float64Array(count * size)
    gemm(false, false, count, size, rank, 1, coordinates, by, 0, result)
    return result
  }
  const parts = once((): ProcessParts => ({ kind: 'span', vectors: splitVectors(slots, B(), rank) }))
  return {
    structure: 'functional',
    curvature: { structure: 'process', size, parts: [spanned] },
    ...aroundMean(mean, slots, settings),
    withSettings: changes => spanPosterior(spanned, slots, mean, { ...settings, ...changes }),
    logDetPrecision: once(() =>
      priorLogDet(settings, slots) + values.reduce((sum, value) => sum + Math.log1p(scale * value / delta), 0)
    ),
    posteriorVariance: () => {
      const variances = new Float64Array(size)
      B().forEach((value, i) => {
        variances[i % size] += value * value
      })
      return variances
    },
    precisionMatrix: () => refuse('no precision matrix'),
    covarianceTimes: (vectors, count) => outside(inside(vectors, count), count, B()),
    whiten: (vectors, count) => outside(inside(vectors, count), count, rows),
    sample: (count, random) =>
      outside(random.fillNormal(new Float64Array(count * rank)), count, B()).map((value, i) => value + mean[i % size]),
    logProb: () => refuse('no density over the weights'),
    parts,
    lastLayerVariance: (features, examples, kind) =>
      outputMoments(parts(), slots, lastLayerJacobian(slots, features, examples), kind).variance,
    spectrum: () => ({ values: [atLeast(values, size)], byTensor: false }),
  }
}

/** P eigenvalues of H: outside of the span it has none. */
function atLeast(values: Float64Array, size: number): Float64Array {
  const all = new Float64Array(Math.max(size, values.length))
  all.set(values)
  return all
}

function refuse(what: string): never {
  throw new OptionError('BAD_COMBINATION',
    `A posterior with nystroem has ${what}: directions outside of the span of its landmarks do not vary. Ask for the `
      + 'posterior covariance or draws, or fit without nystroem.', { option: 'nystroem' })
}

function onePrecision({ priorPrecision }: PosteriorSettings): number {
  if (typeof priorPrecision === 'number') return priorPrecision
  if (priorPrecision.length === 1) return priorPrecision[0]
  throw new OptionError('BAD_OPTION',
    'Option priorPrecision takes one number with nystroem, whose span is that of one precision; got '
      + `${priorPrecision.length} numbers. Fit without nystroem for several.`, {
    option: 'priorPrecision',
    value: priorPrecision.length,
  })
}
