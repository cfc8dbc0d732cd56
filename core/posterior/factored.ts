/**
 * @file The posterior of a curvature that is known by R of its rows, H = V'V: P = D + s V'V with D = diag(delta) and
 * s = 1 / (sigma^2 T). With W = s^1/2 V D^-1/2, W W' = Q diag(g) Q' and U = diag(1 + g)^-1/2 Q' W, whose rows have the
 * squared norms g / (1 + g), P^-1 = D^-1/2 (I - U'U) D^-1/2 (Woodbury).
 */
import { checkBytes } from '../budget/memory.js'
import type { FactoredCurvature } from '../curvature/curvature.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { gemm } from '../kernels/linear-algebra.js'
import { type Eigenpairs, eigenpairsOfMatrix } from '../linear-model/leading-eigenpairs.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import { identity } from '../tensor/identity.js'
import { applied } from './applied.js'
import { outputMoments, type ProcessParts } from './posterior-parts.js'
import { aroundMean, checkSettings, logDensity, once, priorByParameter, priorLogDet,
  type ProcessPosterior } from './posterior.js'

/** The posterior around `mean`; its eigenpairs are made when they are first needed. */
export function factoredPosterior(curvature: FactoredCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): ProcessPosterior {
  checkSettings(settings, slots, curvature.of)
  const size = mean.length
  const delta = once(() => priorByParameter(settings, slots))
  const solved = once(() => solve(curvature, delta(), hessianFactor(settings)))
  const deviations = once(() => delta().map(value => 1 / Math.sqrt(value)))
  /** D^-1/2 (I + U' diag(coefficient / share) U) for the rows V, scaled on the sides that are asked for. */
  const times = (rows: Float64Array, count: number, coefficient: (share: number) => number): Float64Array =>
    applied(solved(), size, rows, count, coefficient)
  const scaled = (rows: Float64Array, by: Float64Array): Float64Array => rows.map((value, i) => value * by[i % size])
  const whiten = (vectors: Float64Array, count: number): Float64Array =>
    times(scaled(vectors, deviations()), count, share => Math.sqrt(1 - share) - 1)
  const precisionTimes = (vectors: Float64Array, count: number): Float64Array => {
    const roots = deviations().map(value => 1 / value)
    return scaled(times(scaled(vectors, roots), count, share => share / (1 - share)), roots)
  }
  const logDetPrecision = once(() => priorLogDet(settings, slots) + solved().logDetRatio)
  const parts = once((): ProcessParts => partsOf(solved(), deviations(), settings, slots))
  return {
    structure: curvature.of,
    curvature,
    ...aroundMean(mean, slots, settings),
    withSettings: changes => factoredPosterior(curvature, slots, mean, { ...settings, ...changes }),
    logDetPrecision,
    posteriorVariance: () => {
      const { rank, rows } = solved()
      const left = new Float64Array(size).fill(1)
      for (let at = 0; at < rank * size; at++) left[at % size] -= rows[at] * rows[at]
      return left.map((value, i) => Math.max(0, value) / delta()[i])
    },
    precisionMatrix: () => {
      checkBytes('The dense matrix', 16 * size * size, 'Work with its rows.')
      return precisionTimes(identity(size), size)
    },
    covarianceTimes: (vectors, count) =>
      scaled(times(scaled(vectors, deviations()), count, share => -share), deviations()),
    whiten,
    sample: (count, random) => {
      const normal = random.fillNormal(new Float64Array(count * size))
      const draws = scaled(times(normal, count, share => Math.sqrt(1 - share) - 1), deviations())
      return draws.map((value, i) => value + mean[i % size])
    },
    logProb: theta => {
      const distance = theta.map((value, i) => value - mean[i])
      const image = precisionTimes(distance, 1)
      const quadratic = distance.reduce((sum, value, i) => sum + value * image[i], 0)
      return logDensity(size, logDetPrecision(), quadratic)
    },
    parts,
    lastLayerVariance: (features, examples, kind) =>
      outputMoments(parts(), slots, lastLayerJacobian(slots, features, examples), kind).variance,
    spectrum: () => ({ values: [spectrumOf(curvature)], byTensor: false }),
  }
}

interface Solved {
  readonly rank: number
  readonly rows: Float64Array
  readonly logDetRatio: number
}

function solve({ rank, rows, size }: FactoredCurvature, delta: Float64Array, scale: number): Solved {
  // With one precision no scaled copy of the rows, the largest of all arrays, is made.
  const common = delta.every(value => value === delta[0])
  const factor = common ? Math.sqrt(scale / delta[0]) : 1
  const scaled = common ? rows : rows.map((value, i) => value * Math.sqrt(scale / delta[i % size]))
  const { values, vectors } = eigenpairsOfRows(rank, size, scaled, factor * factor)
  const mixed = vectors.map((value, i) => value / Math.sqrt(1 + values[Math.floor(i / rank)]))
  const own = new Float64Array(values.length * size)
  gemm(false, false, values.length, size, rank, factor, mixed, scaled, 0, own)
  return { rank: values.length, rows: own, logDetRatio: values.reduce((sum, value) => sum + Math.log1p(value), 0) }
}

/** The eigenpairs of W W' times a factor, the largest first, without those that are rounding. */
function eigenpairsOfRows(rank: number, size: number, rows: Float64Array, factor = 1): Eigenpairs {
  const gram = new Float64Array(rank * rank)
  gemm(false, true, rank, rank, size, factor, rows, rows, 0, gram)
  return eigenpairsOfMatrix(rank, gram)
}

/** Eigenvalues of H, P of them. */
function spectrumOf({ rank, rows, size }: FactoredCurvature): Float64Array {
  const all = new Float64Array(size)
  all.set(eigenpairsOfRows(rank, size, rows).values.subarray(0, size))
  return all
}

/** With one precision for all whole tensors J J' and J U' come from the factors of J, else from its rows. */
function partsOf({ rank, rows }: Solved, deviations: Float64Array, { priorPrecision }: PosteriorSettings,
  slots: readonly ParameterSlot[]): ProcessParts {
  const scalar = typeof priorPrecision === 'number' || priorPrecision.length === 1
  const own = { kind: 'factored', deviations, rank, rows } as const
  if (!scalar || slots.some(({ elements }) => elements !== undefined)) return own
  const total = deviations.length
  const bySlot = slots.map(({ offset, size }) => {
    // The last vector, the change of the mean, is 0.
    const part = new Float64Array((rank + 1) * size)
    for (let k = 0; k < rank; k++) part.set(rows.subarray(k * total + offset, k * total + offset + size), k * size)
    return part
  })
  return { ...own, rows: new Float64Array(0),
    part: { outputs: undefined, delta: 1 / deviations[0] ** 2, rank, vectors: { count: rank + 1, bySlot } } }
}
