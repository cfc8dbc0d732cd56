/**
 * @file Draws of the weights by conjugate gradients: d solves P d = V' e + D^1/2 e0 for standard normal e and e0, where
 * H = V'V, P = H / (sigma^2 T) + D and D = diag(delta), so that d is of N(0, P^-1) (Papandreou and Yuille 2010; Antoran
 * et al. 2023). In units of the prior, x = D^1/2 d, the matrix is 1 + M with M = D^-1/2 H D^-1/2 / (sigma^2 T), and
 * conjugate gradients need as many products as M has directions that count.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { dot } from '../linear-model/conjugate-gradients.js'
import { conjugateSolutions, type Tridiagonal } from '../linear-model/conjugate-solutions.js'
import { densityBeyondOne, sumOver } from '../linear-model/lanczos-quadrature.js'
import { parameterCount } from '../network/parameter-slot.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import { priorByParameter } from '../posterior/posterior.js'
import { vectorsAtOnce } from '../sums/shared-rows.js'
import { randomGenerator } from '../tensor/random.js'
import type { CurvatureProducts } from './curvature-products.js'
import type { Drawn } from './draw-space.js'
import type { FitTask } from './fit-task.js'

/** The residual that ends a solution, over the square root of P: beside it the draw's own length is 1. */
export const SETTLED = 1e-6
/** Products of one solution, as a rule. */
export const USUAL_PRODUCTS = 50
/** Most products of one solution. */
export const MOST_PRODUCTS = 1000

/** Draws by conjugate gradients. */
export async function weightSpaceDraws({ evaluator, options }: FitTask, count: number, products: CurvatureProducts,
  settings: PosteriorSettings, work: WorkOptions): Promise<Drawn> {
  const { slots, precision } = evaluator
  const size = parameterCount(slots)
  const factor = hessianFactor(settings)
  const units = priorByParameter(settings, slots).map(delta => 1 / Math.sqrt(delta))
  const random = randomGenerator(options.seed)
  const rows = precision === 'float32' ? new Float32Array(count * size) : new Float64Array(count * size)
  const lanczos: Tridiagonal[] = []
  const squares = new Float64Array(count)
  const atOnce = Math.min(count, vectorsAtOnce(size))
  let [residual, converged] = [0, true]
  for (let from = 0; from < count; from += atOnce) {
    throwIfCancelled(work.signal)
    work.onProgress?.({ stage: 'fit', done: from, total: count })
    const own = Math.min(atOnce, count - from)
    const b = new Float64Array(own * size)
    for (let k = 0; k < own; k++) {
      const e = random.fillNormal(new Float64Array(products.rows))
      const right = b.subarray(k * size, (k + 1) * size)
      random.fillNormal(right)
      addScaled(right, await products.transposedTimes(e), units, Math.sqrt(factor))
      squares[from + k] = dot(right, right)
    }
    const solved = await conjugateSolutions(async (vectors, n) => {
      throwIfCancelled(work.signal)
      const inner = new Float64Array(n * size)
      addScaled(inner, vectors, units, 1)
      const images = await products.times(inner, n)
      const result = vectors.slice()
      addScaled(result, images, units, factor)
      return result
    }, b, own, { residual: SETTLED * Math.sqrt(size), products: MOST_PRODUCTS })
    residual = Math.max(residual, ...solved.residuals)
    converged &&= solved.converged
    lanczos.push(...solved.lanczos)
    for (let i = 0; i < solved.x.length; i++) rows[from * size + i] = solved.x[i] * units[i % size] / Math.sqrt(count)
  }
  work.onProgress?.({ stage: 'fit', done: count, total: count })
  const density = densityBeyondOne(lanczos, squares)
  // Of -1/2 log |A| by b' A^-1 log(A) b for draws b of N(0, A).
  const evidenceError = Math.sqrt(sumOver(density, value => Math.log1p(value) ** 2) / (2 * count))
  return { rows, density, evidenceError, residual: residual / Math.sqrt(size), converged }
}

/** Adds rows times the units of their numbers, and a factor. */
function addScaled(sums: Float64Array, rows: Float64Array, units: Float64Array, factor: number): void {
  for (let from = 0; from < rows.length; from += units.length) {
    for (let i = 0; i < units.length; i++) sums[from + i] += factor * units[i] * rows[from + i]
  }
}
