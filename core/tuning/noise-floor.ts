/**
 * @file The least noise that tuning goes down to.
 *
 * Of a network that fits its training rows exactly the evidence grows without end as sigma goes to 0: the rows then say
 * nothing about the noise, H / sigma^2 swamps the prior, and in double precision the posterior loses the directions
 * that H leaves free. Tuning therefore stops at a floor, and says so.
 */
import { isSum } from '../curvature/curvature.js'
import { cholesky, gemm, symmetricEigen, triangularInverse } from '../kernels/linear-algebra.js'
import type { DataFit } from '../posterior/evidence.js'
import { deviation, type StructuredPosterior } from '../posterior/posterior.js'
import { curvatureDiagonal } from './curvature-diagonal.js'

/** sigma^2 of a fit that interpolates, relative to the mean square of what it fits: residuals of 10^-6. */
const LEAST_SHARE = 1e-12
/** Residuals below this share of the targets are rounding errors of the outputs. */
const ROUNDING = 4 * Number.EPSILON
/** sigma^2 of targets that are all 0. */
const LEAST_VARIANCE = 1e-24

/** The least sigma^2, from the mean square of the targets; an `interpolating` model has no rows left for the noise. */
export function targetFloor(meanSquare: number, interpolating: boolean): number {
  return Math.max(LEAST_VARIANCE, meanSquare * (interpolating ? LEAST_SHARE : ROUNDING * ROUNDING))
}

/**
 * The least sigma^2 at the network's weights: from the mean square of the largest term of J (theta - mu), which stands
 * for the targets where only sums over the data are at hand.
 */
export function outputFloor(posterior: StructuredPosterior, data: DataFit): number {
  if (!isSum(posterior.curvature)) return LEAST_VARIANCE
  const h = curvatureDiagonal(posterior.curvature, posterior.slots)
  const distance = deviation(posterior.mean, posterior.settings)
  const largest = h.reduce((most, value, i) => Math.max(most, value * distance[i] * distance[i]), 0)
  return LEAST_SHARE * largest / Math.max(1, data.examples * data.outputs)
}

/**
 * The least sigma^2 T with which P = H / (sigma^2 T) + diag(delta) can be factored, as a function of delta.
 *
 * A Cholesky factorisation bears any scaling of the parameters (van der Sluis 1969; Demmel 1989), so that what counts
 * is the smallest eigenvalue of H' + t D, where t = sigma^2 T, H' is H scaled to a unit diagonal h / h and D =
 * diag(delta / h). Over the directions V that H' leaves free, with eigenvalues l, it is that of diag(l) + t V'D V.
 * There is no floor without such directions. Nothing is decomposed while sigma is so large that the bound cannot
 * matter.
 * @param h H, or the part of it that its other blocks repeat: size x size
 * @param rounded whether h may be rounded to float32, and so be negative in some directions by more than float64 would
 * be
 * @returns for delta of every parameter and the sigma^2 T that is wanted: the same, or the floor where it is larger
 */
export function conditionFloor(size: number, h: Float64Array,
  rounded: boolean): (delta: Float64Array, wanted: number) => number {
  const least = Math.max(LEAST_SHARE, 16 * size * Number.EPSILON)
  const diagonal = Float64Array.from({ length: size }, (_, i) => h[i * size + i])
  let known: FreeDirections | undefined
  return (delta, wanted) => {
    const most = diagonal.reduce((largest, value, i) => Math.max(largest, value / delta[i]), 0)
    if (wanted >= least * most && (!rounded || keepsHalf(size, h, delta, wanted))) return wanted
    const free = known ??= freeDirections(size, h, diagonal, least)
    const { values } = free
    // Where H' is negative half of the prior shall be left.
    return Math.max(wanted, leastPrior(free, delta, values.map(value => least - value + Math.max(0, -value))))
  }
}

/**
 * Whether P is more than half of the prior in every direction. Where H is negative by its rounding P may be less,
 * without failing to factor: the variance would be any number above that of the prior.
 */
function keepsHalf(size: number, h: Float64Array, delta: Float64Array, variance: number): boolean {
  const precision = h.map(value => value / variance)
  for (let i = 0; i < size; i++) precision[i * size + i] += delta[i] / 2
  return cholesky(size, precision) < 0
}

const AT_FLOOR = 'The noise is at its floor'

/** The notes of a posterior whose noise is another than the one that was at its floor. */
export function withoutFloorNotes(notes: readonly string[]): string[] {
  return notes.filter(note => !note.startsWith(AT_FLOOR))
}

/** What a user is told when the noise is at its floor. */
export function floorNote(sigma: number): string {
  return `${AT_FLOOR}, sigma = ${sigma.toPrecision(3)}: the fit interpolates its training rows, ` +
    'and they do not determine the noise. Give sigmaNoise, or choose it by held-out rows.'
}

/** What a user is told when a smaller noise would leave the posterior without digits. */
export function conditionNote(sigma: number): string {
  return `The noise is held at sigma = ${
    sigma.toPrecision(3)
  }, the least that the rounding of a full curvature bears: ` +
    'the fit interpolates its training rows, or leaves many of its weights free, so that they do not determine the ' +
    'noise well. Give sigmaNoise or choose it by held-out rows, or use structure kron or diag.'
}

/** Directions that the data leave free, over the parameters `at` whose h is not 0. */
interface FreeDirections {
  readonly at: readonly number[]
  /** h of these parameters. */
  readonly diagonal: Float64Array
  /** Eigenvalues of H' in these directions. */
  readonly values: Float64Array
  /** V: one row for each of the parameters, one column a direction. */
  readonly vectors: Float64Array
}

function freeDirections(size: number, h: Float64Array, diagonal: Float64Array, least: number): FreeDirections {
  const at = Array.from(diagonal.keys()).filter(i => diagonal[i] > 0)
  const used = at.length
  const scaled = new Float64Array(used * used)
  at.forEach((i, row) => {
    at.forEach((j, column) => {
      scaled[row * used + column] = h[i * size + j] / Math.sqrt(diagonal[i]) / Math.sqrt(diagonal[j])
    })
  })
  const { values, vectors } = symmetricEigen(used, scaled)
  const below = Math.max(least, -100 * (values[0] ?? 0))
  const count = values.filter(value => value < below).length
  const own = new Float64Array(used * count)
  for (let i = 0; i < used; i++) own.set(vectors.subarray(i * used, i * used + count), i * count)
  return { at, diagonal: Float64Array.from(at, i => diagonal[i]), values: values.slice(0, count), vectors: own }
}

/** The least t with t V'D V - diag(gap) positive: the largest eigenvalue of L^-1 diag(gap) L^-T, where V'D V = L L'. */
function leastPrior({ at, diagonal, vectors }: FreeDirections, delta: Float64Array, gap: Float64Array): number {
  const count = gap.length
  if (count === 0) return 0
  const rows = vectors.map((value, entry) => {
    const i = Math.floor(entry / count)
    return value * Math.sqrt(delta[at[i]] / diagonal[i])
  })
  const prior = new Float64Array(count * count)
  gemm(true, false, count, count, at.length, 1, rows, rows, 0, prior)
  if (cholesky(count, prior) >= 0) {
    const share = at.reduce((least, i, own) => Math.min(least, delta[i] / diagonal[own]), Infinity)
    return gap.reduce((most, value) => Math.max(most, value), 0) / share
  }
  const inverse = triangularInverse(count, prior)
  const image = new Float64Array(count * count)
  gemm(false, true, count, count, count, 1, inverse.map((value, entry) => value * gap[entry % count]), inverse, 0,
    image)
  return Math.max(0, symmetricEigen(count, image).values[count - 1])
}
