/**
 * @file Draws of the weights from the posterior of a curvature that is never formed: d solves P d = V' e + D^1/2 e0 for
 * standard normal e and e0, where H = V'V, P = H / (sigma^2 T) + D and D = diag(delta), so that d is of N(0, P^-1)
 * (Papandreou and Yuille 2010; Antoran et al. 2023). In units of the prior, x = D^1/2 d, the matrix is 1 + M with
 * M = D^-1/2 H D^-1/2 / (sigma^2 T), and conjugate gradients need as many products as M has directions that count.
 */
import { formatBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { SampledCurvature } from '../curvature/curvature.js'
import { ResourceError } from '../errors/errors.js'
import { dot } from '../linear-model/conjugate-gradients.js'
import { conjugateSolutions, type Tridiagonal } from '../linear-model/conjugate-solutions.js'
import { densityBeyondOne, sumOver } from '../linear-model/lanczos-quadrature.js'
import { parameterCount } from '../network/parameter-slot.js'
import { DEFAULT_SETTINGS, hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import type { DataFit } from '../posterior/evidence.js'
import { priorByParameter } from '../posterior/posterior.js'
import { monteCarloError, samplesPosterior } from '../posterior/samples.js'
import { vectorsAtOnce } from '../sums/shared-rows.js'
import { randomGenerator } from '../tensor/random.js'
import { tuneByMarginalLikelihood } from '../tuning/marginal-likelihood.js'
import type { CurvatureProducts } from './curvature-products.js'
import type { FitTask } from './fit-task.js'

/** The residual that ends a solution, over the square root of P: beside it the draw's own length is 1. */
const SETTLED = 1e-6
/** Products of one solution, as a rule. */
export const USUAL_PRODUCTS = 50
/** Most products of one solution. */
const MOST_PRODUCTS = 1000
/** Draws, rounds and the change of log delta and log sigma that end the search for the prior. */
const SEARCHED = 16
const MOST_ROUNDS = 8
const SETTLED_PRIOR = 0.02

/** What the draws came to. */
export interface SampledFit {
  readonly curvature: SampledCurvature
  readonly settings: PosteriorSettings
  readonly notes: readonly string[]
}

/** Draws under the settings of the task, or under those that maximise the evidence. @throws CancelledError */
export async function sampledFit(task: FitTask, samples: number, products: CurvatureProducts, data: DataFit,
  work: WorkOptions): Promise<SampledFit> {
  const { evaluator: { slots, theta, precision }, options, plan } = task
  checkDraws(samples, parameterCount(slots), precision === 'float32' ? 4 : 8, options.memoryLimit)
  let settings: PosteriorSettings = { ...DEFAULT_SETTINGS, ...options.settings }
  const notes: string[] = []
  if (plan.tune === 'marglik') {
    let moved = Infinity
    for (let round = 0; round < MOST_ROUNDS && moved > SETTLED_PRIOR; round++) {
      work.onProgress?.({ stage: 'tune', done: round, total: MOST_ROUNDS })
      const own = await draws(task, Math.min(samples, SEARCHED), products, settings, quiet(work))
      const posterior = samplesPosterior(own.curvature, slots, theta, settings)
      const found = tuneByMarginalLikelihood(posterior, data, { priorStructure: 'scalar',
        tuneNoise: options.tuneNoise })
      moved = Math.max(change(found.settings, settings, ({ priorPrecision }) => Number(priorPrecision)),
        change(found.settings, settings, ({ sigmaNoise }) => sigmaNoise))
      settings = found.settings
      if (moved <= SETTLED_PRIOR && found.note !== undefined) notes.push(found.note)
    }
    if (moved > SETTLED_PRIOR) {
      notes.push('The search for the prior precision by draws of the weights stopped before it settled.')
    }
  }
  const { curvature, residual, converged } = await draws(task, samples, products, settings, work)
  return { curvature, settings, notes: [...notes, ...sentences(curvature, residual, converged)] }
}

/** @throws ResourceError OUT_OF_MEMORY with how many draws fit */
function checkDraws(samples: number, size: number, bytes: number, limit: number): void {
  const needed = bytesOfDraws(samples, size, bytes)
  if (needed <= limit) return
  const fits = Math.floor((limit - bytesOfDraws(0, size, bytes)) / (2 * bytes * size))
  throw new ResourceError('OUT_OF_MEMORY',
    `${samples} draws of ${size} weights would need ${formatBytes(needed)}, more than the limit of `
      + `${formatBytes(limit)} (option memoryLimit). ${
        fits > 0 ? `Take at most ${fits} (option samples).` : "Raise it, or use structure 'diag'."
      }`, { needed, limit, fits })
}

/** Vectors of P doubles beside the draws while a solution runs. */
const VECTORS = 10

/** Bytes of the draws, which predictions hold a second time, and of what solves for those that are solved together. */
export function bytesOfDraws(samples: number, size: number, bytes: number): number {
  return 2 * bytes * samples * size + VECTORS * 8 * size * Math.max(1, Math.min(samples, vectorsAtOnce(size)))
}

/** How far a setting went, in logarithms. */
function change(a: PosteriorSettings, b: PosteriorSettings, of: (settings: PosteriorSettings) => number): number {
  return Math.abs(Math.log(of(a) / of(b)))
}

function quiet({ signal }: WorkOptions): WorkOptions {
  return signal === undefined ? {} : { signal }
}

/** What is said of the draws: how exact the estimates are, and the solutions. */
function sentences({ count, density }: SampledCurvature, residual: number, converged: boolean): string[] {
  const percent = `${(100 * monteCarloError(count)).toPrecision(2)} %`
  // Of -1/2 log |A| by b' A^-1 log(A) b for draws b of N(0, A).
  const evidence = Math.sqrt(sumOver(density, value => Math.log1p(value) ** 2) / (2 * count))
  return [
    `Variances are estimates by ${count} draws of the weights, with a relative standard error of ${percent}, and the `
    + `log evidence has one of ${evidence.toPrecision(2)}; the draws solve their equations to a relative residual of `
    + `${residual.toExponential(1)}.`,
    ...(converged ? [] : [
      `Not converged: ${MOST_PRODUCTS} products did not bring every draw to a residual of ${SETTLED}. A larger prior `
      + "precision, precision 'float64' or scaled data make the equations easier.",
    ]),
  ]
}

/** Draws under some settings, the largest relative residual, and whether all solutions converged. */
async function draws({ evaluator, options }: FitTask, count: number, products: CurvatureProducts,
  settings: PosteriorSettings,
  work: WorkOptions): Promise<{ curvature: SampledCurvature, residual: number, converged: boolean }> {
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
  const { priorPrecision } = settings
  return { residual: residual / Math.sqrt(size), converged,
    curvature: { structure: 'samples', size, count, rows, precision: priorPrecision, factor,
      density: densityBeyondOne(lanczos, squares) } }
}

/** Adds rows times the units of their numbers, and a factor. */
function addScaled(sums: Float64Array, rows: Float64Array, units: Float64Array, factor: number): void {
  for (let from = 0; from < rows.length; from += units.length) {
    for (let i = 0; i < units.length; i++) sums[from + i] += factor * units[i] * rows[from + i]
  }
}
