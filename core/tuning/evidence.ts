/**
 * @file The log marginal likelihood as a function of its hyper-parameters, with derivatives: the logarithms of the
 * prior precisions of the groups and, where the noise is tuned, log sigma.
 *
 * With s = 1 / (sigma^2 T), group g of n_g parameters, q_g = sum (theta - mu0)^2 and P = s H + diag(delta):
 * L = loglik - 1/2 [ log|P| - sum n_g log delta_g + sum delta_g q_g ].
 */
import { denseMatrices } from '../curvature/blocks.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import { type DataFit, logLikelihood } from '../posterior/evidence.js'
import { sumOfLogarithms } from '../posterior/log-product.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import { binned } from './binned-spectrum.js'
import { LOWEST_PRECISION } from './bounds.js'
import { precisionInverse } from './precision-inverse.js'
import { asPriorPrecision, overParameters, type PriorGroup, squaredDeviations } from './prior-groups.js'

/** Value, gradient and Hessian at a point; the noise comes last. */
export interface EvidencePoint {
  readonly value: number
  readonly gradient: Float64Array
  /** n x n. */
  readonly hessian: Float64Array
}

/** A function of n logarithms of hyper-parameters to be maximised. */
export interface EvidenceFunction {
  readonly size: number
  /** The least that each logarithm may be. */
  readonly lowest: Float64Array
  settingsAt(point: Float64Array): PosteriorSettings
  /** Value and gradient alone when `curvature` is false (the Hessian is then empty). */
  at(point: Float64Array, curvature: boolean): EvidencePoint
}

/** What log|P| contributes. Of the noise: derivatives with respect to log sigma. */
interface LogDeterminant {
  readonly value: number
  /** d/d log delta_g: delta_g trace of P^-1 over the group. */
  readonly slopes: Float64Array
  readonly noiseSlope: number
  /** Groups x groups. */
  readonly curvature: Float64Array
  readonly noiseCurvature: number
  /** Mixed with each group. */
  readonly mixed: Float64Array
}

/** The evidence of a posterior over the precisions of `groups` and, where it is given a least sigma, the noise. */
export function evidenceFunction(posterior: StructuredPosterior, data: DataFit, groups: readonly PriorGroup[],
  leastNoise: number | undefined): EvidenceFunction {
  return evidenceOf(posterior, data, groups, leastNoise, determinantOf(posterior, groups))
}

/**
 * Nearly the same from far fewer numbers: its maximum is where to start on the other. Undefined where the spectrum is
 * small, or is not all that the evidence needs.
 */
export function coarseEvidence(posterior: StructuredPosterior, data: DataFit, groups: readonly PriorGroup[],
  leastNoise: number | undefined): EvidenceFunction | undefined {
  const spectrum = needsMatrices(posterior, groups) ? undefined : posterior.spectrum()
  if (spectrum === undefined || spectrum.multiplicities !== undefined) return undefined
  const { parts, beyond } = spectralParts(spectrum.values, groups)
  const coarse = parts.map(part => ({ ...part, ...binned(part.values) }))
  if (coarse.every(({ counts }) => counts === undefined)) return undefined
  return evidenceOf(posterior, data, groups, leastNoise,
    (delta, scale, curvature) => spectralLogDeterminant(coarse, beyond, delta, scale, curvature))
}

function evidenceOf(posterior: StructuredPosterior, data: DataFit, groups: readonly PriorGroup[],
  leastNoise: number | undefined, logDeterminant: DeterminantFunction): EvidenceFunction {
  const tuneNoise = leastNoise !== undefined
  const { settings } = posterior
  const squares = squaredDeviations(groups, posterior.mean, settings)
  const size = groups.length + (tuneNoise ? 1 : 0)
  const settingsAt = (point: Float64Array): PosteriorSettings => ({
    ...settings,
    priorPrecision: asPriorPrecision(point.subarray(0, groups.length).map(Math.exp)),
    sigmaNoise: tuneNoise ? Math.exp(point[groups.length]) : settings.sigmaNoise,
  })
  const lowest = new Float64Array(size).fill(Math.log(LOWEST_PRECISION))
  if (tuneNoise) lowest[groups.length] = Math.log(leastNoise)
  return {
    size,
    lowest,
    settingsAt,
    at(point, curvature) {
      const current = settingsAt(point)
      const scale = hessianFactor(current)
      const delta = point.subarray(0, groups.length).map(Math.exp)
      const determinant = logDeterminant(delta, scale, curvature)
      let value = logLikelihood(data, current) - 0.5 * determinant.value
      const gradient = new Float64Array(size)
      groups.forEach(({ from, to }, g) => {
        const pull = delta[g] * squares[g]
        value += 0.5 * ((to - from) * point[g] - pull)
        gradient[g] = -0.5 * (determinant.slopes[g] - (to - from) + pull)
      })
      if (tuneNoise) {
        gradient[groups.length] = 2 * scale * data.loss - data.examples * data.outputs - 0.5 * determinant.noiseSlope
      }
      const hessian = new Float64Array(curvature ? size * size : 0)
      if (curvature) {
        fillHessian(hessian, size, groups.length, determinant, g => delta[g] * squares[g],
          tuneNoise ? 4 * scale * data.loss : undefined)
      }
      return { value, gradient, hessian }
    },
  }
}

function fillHessian(hessian: Float64Array, size: number, groups: number, determinant: LogDeterminant,
  pull: (g: number) => number, noise: number | undefined): void {
  for (let g = 0; g < groups; g++) {
    for (let h = 0; h < groups; h++) {
      hessian[g * size + h] = -0.5 * (determinant.curvature[g * groups + h] + (g === h ? pull(g) : 0))
    }
  }
  if (noise === undefined) return
  for (let g = 0; g < groups; g++) hessian[g * size + groups] = hessian[groups * size + g] = -0.5 * determinant.mixed[g]
  hessian[groups * size + groups] = -noise - 0.5 * determinant.noiseCurvature
}

/** log|P| at the prior precisions of the groups; its curvature where that is asked for. */
type DeterminantFunction = (delta: Float64Array, scale: number, curvature: boolean) => LogDeterminant

/** Whether several precisions meet in one matrix, whose eigenvalues then do not tell its determinant. */
function needsMatrices({ curvature, slots }: StructuredPosterior, groups: readonly PriorGroup[]): boolean {
  return groups.length > 1 && denseMatrices(curvature, slots) !== undefined
}

function determinantOf(posterior: StructuredPosterior, groups: readonly PriorGroup[]): DeterminantFunction {
  const matrices = groups.length > 1 ? denseMatrices(posterior.curvature, posterior.slots) : undefined
  if (matrices !== undefined) {
    const blocks = matrices.map(({ places, matrix }) => ({ places, matrix, own: groupsWithin(groups, places) }))
    return (delta, scale, curvature) =>
      sumOfDeterminants(groups.length, blocks.map(({ places, matrix, own }) => ({
        members: own.map(({ group }) => group),
        determinant: denseLogDeterminant(matrix, places.length, own, Float64Array.from(own, ({ group }) =>
          delta[group]), scale, curvature),
      })))
  }
  const { values, multiplicities } = posterior.spectrum()
  if (multiplicities !== undefined) {
    return (delta, scale) => weightedLogDeterminant(values[0], multiplicities, posterior.size, delta[0], scale)
  }
  const { parts, beyond } = spectralParts(values, groups)
  return (delta, scale, curvature) => spectralLogDeterminant(parts, beyond, delta, scale, curvature)
}

/** From eigenvalues that each count so many times, of one prior precision; the others of P are 0. */
function weightedLogDeterminant(values: Float64Array, multiplicities: Float64Array, size: number, delta: number,
  scale: number): LogDeterminant {
  let [value, data, both] = [size * Math.log(delta), 0, 0]
  for (let i = 0; i < values.length; i++) {
    const share = scale * values[i] / (scale * values[i] + delta)
    value += multiplicities[i] * Math.log1p(scale * values[i] / delta)
    data += multiplicities[i] * share
    both += multiplicities[i] * share * (1 - share)
  }
  return { value, slopes: Float64Array.of(size - data), noiseSlope: -2 * data, curvature: Float64Array.of(both),
    noiseCurvature: 4 * both, mixed: Float64Array.of(2 * both) }
}

/** Eigenvalues of one group, and how often each counts where that is not once. */
interface SpectralPart {
  readonly group: number
  readonly values: Float64Array
  readonly counts?: Float64Array
}

/**
 * The eigenvalues of every group: their lists, one after another, are in the order of the parameters (or belong to one
 * group). Posteriors an output have more directions than there are parameters, `beyond`, of one precision; each counts
 * with its prior.
 */
function spectralParts(lists: readonly Float64Array[],
  groups: readonly PriorGroup[]): { readonly parts: readonly SpectralPart[], readonly beyond: number } {
  const beyond = Math.max(0, lists.reduce((sum, list) => sum + list.length, 0) - (groups[groups.length - 1]?.to ?? 0))
  if (beyond > 0 && groups.length === 1) return { parts: [{ group: 0, values: lists[0] }], beyond }
  let position = 0
  const parts = lists.flatMap(list => {
    const [start, end] = [position, position + list.length]
    position = end
    return groups.flatMap(({ from, to }, group) =>
      from >= end || to <= start ? [] : [{ group, values: list.subarray(Math.max(0, from - start), to - start) }]
    )
  })
  return { parts, beyond: 0 }
}

/** From eigenvalues: sum log(s l + delta). */
function spectralLogDeterminant(parts: readonly SpectralPart[], beyond: number, delta: Float64Array, scale: number,
  curvature: boolean): LogDeterminant {
  const count = delta.length
  const slopes = new Float64Array(count)
  const second = new Float64Array(count)
  let value = 0
  let traceOfData = 0
  for (const { group, values, counts } of parts) {
    const sums = counts === undefined
      ? shrinkageSums(values, scale, delta[group])
      : weightedSums(values, counts, scale, delta[group])
    value += sums.logarithms
    slopes[group] += sums.prior
    second[group] += sums.both
    traceOfData += sums.data
  }
  if (beyond > 0) {
    value -= beyond * Math.log(delta[0])
    slopes[0] -= beyond
  }
  const matrix = new Float64Array(curvature ? count ** 2 : 0)
  if (curvature) { for (let i = 0; i < count; i++) matrix[i * count + i] = second[i] }
  return { value, slopes, noiseSlope: -2 * traceOfData, curvature: matrix,
    noiseCurvature: 4 * second.reduce((a, b) => a + b, 0), mixed: second.map(v => 2 * v) }
}

/**
 * Sums over eigenvalues l, where p = delta / (s l + delta) is the prior's share of the precision and d = 1 - p that of
 * the data.
 */
interface ShrinkageSums {
  readonly logarithms: number
  readonly prior: number
  readonly data: number
  readonly both: number
}

const precisions = new Float64Array(1024)

/** sum log(s l + delta), sum p, sum d and sum p d; a block of eigenvalues at a time. */
function shrinkageSums(values: Float64Array, scale: number, delta: number): ShrinkageSums {
  let [logarithms, prior, data, both] = [0, 0, 0, 0]
  for (let first = 0; first < values.length; first += precisions.length) {
    const count = Math.min(precisions.length, values.length - first)
    for (let i = 0; i < count; i++) {
      const fromData = scale * values[first + i]
      const precision = fromData + delta
      const inverse = 1 / precision
      const share = delta * inverse
      precisions[i] = precision
      prior += share
      data += fromData * inverse
      both += share * (fromData * inverse)
    }
    logarithms += sumOfLogarithms(precisions, count)
  }
  return { logarithms, prior, data, both }
}

/** The same sums over values that count several times each. */
function weightedSums(values: Float64Array, counts: Float64Array, scale: number, delta: number): ShrinkageSums {
  let [logarithms, prior, data, both] = [0, 0, 0, 0]
  for (let i = 0; i < values.length; i++) {
    const precision = scale * values[i] + delta
    const [ofPrior, ofData] = [delta / precision, scale * values[i] / precision]
    logarithms += counts[i] * Math.log(precision)
    prior += counts[i] * ofPrior
    data += counts[i] * ofData
    both += counts[i] * ofPrior * ofData
  }
  return { logarithms, prior, data, both }
}

/** The determinant of a part of P, and the groups that it belongs to. */
interface PartialDeterminant {
  readonly members: readonly number[]
  readonly determinant: LogDeterminant
}

/** The groups of some parameters, given by their places in theta, in the coordinates of these. */
function groupsWithin(groups: readonly PriorGroup[], places: Int32Array): (PriorGroup & { readonly group: number })[] {
  const firstFrom = (place: number): number => {
    const found = places.findIndex(own => own >= place)
    return found < 0 ? places.length : found
  }
  return groups.map(({ from, to }, group) => ({ group, from: firstFrom(from), to: firstFrom(to) }))
    .filter(({ from, to }) => from < to)
}

/** Of independent parts of P. */
function sumOfDeterminants(count: number, parts: readonly PartialDeterminant[]): LogDeterminant {
  const [slopes, mixed] = [new Float64Array(count), new Float64Array(count)]
  const curvature = new Float64Array(parts.some(({ determinant }) => determinant.curvature.length > 0) ? count ** 2 : 0)
  let [value, noiseSlope, noiseCurvature] = [0, 0, 0]
  for (const { members, determinant } of parts) {
    value += determinant.value
    noiseSlope += determinant.noiseSlope
    noiseCurvature += determinant.noiseCurvature
    members.forEach((g, i) => {
      slopes[g] += determinant.slopes[i]
      mixed[g] += determinant.mixed[i]
      if (curvature.length === 0) return
      members.forEach((h, j) => {
        curvature[g * count + h] += determinant.curvature[i * members.length + j]
      })
    })
  }
  return { value, slopes, noiseSlope, curvature, noiseCurvature, mixed }
}

/** From the inverse of P, for several groups in one matrix. */
function denseLogDeterminant(h: Float64Array, size: number, groups: readonly PriorGroup[], delta: Float64Array,
  scale: number, curvature: boolean): LogDeterminant {
  const { logDet: value, inverse } = precisionInverse(h, size, scale, overParameters(groups, delta, size))
  const slopes = Float64Array.from(groups, ({ from, to }, g) => {
    let trace = 0
    for (let i = from; i < to; i++) trace += inverse[i * size + i]
    return delta[g] * trace
  })
  const total = slopes.reduce((a, b) => a + b, 0)
  const squares = curvature ? blockSquares(inverse, size, groups, delta) : new Float64Array(0)
  const rows = Float64Array.from(groups,
    (_, g) => squares.subarray(g * groups.length, (g + 1) * groups.length).reduce((a, b) => a + b, 0))
  const matrix = squares.map((square, at) =>
    (at % (groups.length + 1) === 0 ? slopes[at / (groups.length + 1)] : 0) - square
  )
  const allSquares = rows.reduce((a, b) => a + b, 0)
  return {
    value,
    slopes,
    curvature: matrix,
    noiseSlope: -2 * (size - total),
    noiseCurvature: 4 * (size - total) - 4 * (size - 2 * total + allSquares),
    mixed: slopes.map((slope, g) => 2 * (slope - rows[g])),
  }
}

/** delta_g delta_h sum of squared entries of a matrix over the block (g, h). */
function blockSquares(matrix: Float64Array, size: number, groups: readonly PriorGroup[],
  delta: Float64Array): Float64Array {
  const count = groups.length
  const result = new Float64Array(count * count)
  groups.forEach((rows, g) => {
    groups.forEach((columns, h) => {
      let sum = 0
      for (let i = rows.from; i < rows.to; i++) {
        for (let j = columns.from; j < columns.to; j++) sum += matrix[i * size + j] ** 2
      }
      result[g * count + h] = delta[g] * delta[h] * sum
    })
  })
  return result
}
