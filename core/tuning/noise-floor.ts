/**
 * @file The least noise that tuning goes down to.
 *
 * Of a network that fits its training rows exactly the evidence grows without end as sigma goes to 0: the rows then say
 * nothing about the noise, H / sigma^2 swamps the prior, and in double precision the posterior loses the directions that
 * H leaves free. Tuning therefore stops at a floor, and says so.
 */
import { symmetricEigen } from '../kernels/linear-algebra.js'
import type { DataFit } from '../posterior/evidence.js'
import { deviation, type StructuredPosterior } from '../posterior/posterior.js'
import { curvatureDiagonal } from './curvature-diagonal.js'

/** sigma^2 of a fit that interpolates, relative to the mean square of what it fits: residuals of 10^-6. */
const LEAST_SHARE = 1e-12
/** Residuals below this share of the targets are rounding errors of the outputs. */
const ROUNDING = 4 * Number.EPSILON

/** The least sigma^2, from the mean square of the targets; an `interpolating` model has no rows left for the noise. */
export function targetFloor(meanSquare: number, interpolating: boolean): number {
  return meanSquare * (interpolating ? LEAST_SHARE : ROUNDING * ROUNDING)
}

/**
 * The least sigma^2 at the network's weights: from the mean square of the largest term of J (theta - mu), which stands for
 * the targets where only sums over the data are at hand.
 */
export function outputFloor(posterior: StructuredPosterior, data: DataFit): number {
  const h = curvatureDiagonal(posterior.curvature, posterior.slots)
  const distance = deviation(posterior.mean, posterior.settings)
  const largest = h.reduce((most, value, i) => Math.max(most, value * distance[i] * distance[i]), 0)
  return LEAST_SHARE * largest / Math.max(1, data.examples * data.outputs)
}

/**
 * The least sigma^2 T with which P = H / (sigma^2 T) + diag(delta) can be factored, as a function of delta.
 *
 * A Cholesky factorisation bears any scaling of the parameters (van der Sluis 1969; Demmel 1989), so that what counts is
 * the smallest eigenvalue of H' + sigma^2 T diag(delta / h), where H' is H scaled to a unit diagonal h / h. Over the
 * directions V that H' leaves free it is sigma^2 T times that of V' diag(delta / h) V. There is no floor without such
 * directions. Nothing is decomposed while sigma is so large that the bound cannot matter.
 * @param h H, or the part of it that its other blocks repeat: size x size
 * @returns for delta of every parameter and the sigma^2 T that is wanted: the same, or the floor where it is larger
 */
export function conditionFloor(size: number, h: Float64Array): (delta: Float64Array, wanted: number) => number {
  const least = Math.max(LEAST_SHARE, 16 * size * Number.EPSILON)
  const diagonal = Float64Array.from({ length: size }, (_, i) => h[i * size + i])
  let free: FreeDirections | undefined
  return (delta, wanted) => {
    const most = diagonal.reduce((largest, value, i) => Math.max(largest, value / delta[i]), 0)
    if (wanted >= least * most) return wanted
    free ??= freeDirections(size, h, diagonal, least)
    return Math.max(wanted, least / smallestPrior(free, delta))
  }
}

/** What a user is told when the noise is at its floor. */
export function floorNote(sigma: number): string {
  return `The noise is at its floor, sigma = ${sigma.toPrecision(3)}: the fit interpolates its training rows, ` +
    'and they do not determine the noise. Give sigmaNoise, or choose it by held-out rows.'
}

/** Directions that the data leave free, in the columns of a used x count matrix, over the parameters `at` whose h is not 0. */
interface FreeDirections {
  readonly at: readonly number[]
  readonly diagonal: Float64Array
  readonly count: number
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
  const count = values.filter(value => value < least).length
  const own = new Float64Array(used * count)
  for (let i = 0; i < used; i++) own.set(vectors.subarray(i * used, i * used + count), i * count)
  return { at, diagonal, count, vectors: own }
}

/** The smallest eigenvalue of V' diag(delta / h) V; infinity without directions. */
function smallestPrior({ at, diagonal, count, vectors }: FreeDirections, delta: Float64Array): number {
  if (count === 0) return Infinity
  const share = at.map(i => delta[i] / diagonal[i])
  const matrix = new Float64Array(count * count)
  share.forEach((weight, i) => {
    for (let j = 0; j < count; j++) {
      const left = weight * vectors[i * count + j]
      for (let k = 0; k <= j; k++) matrix[j * count + k] += left * vectors[i * count + k]
    }
  })
  const lowest = share.reduce((least, value) => Math.min(least, value), Infinity)
  return Math.max(lowest, symmetricEigen(count, matrix).values[0])
}
