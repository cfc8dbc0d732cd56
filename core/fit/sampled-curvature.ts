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
import { likelihoodModel } from '../likelihood/registry.js'
import { dot } from '../linear-model/conjugate-gradients.js'
import { conjugateSolutions, type Tridiagonal } from '../linear-model/conjugate-solutions.js'
import { densityBeyondOne, type SpectralDensity, sumOver } from '../linear-model/lanczos-quadrature.js'
import { parameterCount } from '../network/parameter-slot.js'
import { DEFAULT_SETTINGS, hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import type { DataFit } from '../posterior/evidence.js'
import { priorByParameter } from '../posterior/posterior.js'
import { monteCarloError, samplesPosterior } from '../posterior/samples.js'
import { multiplicationsPerExample } from '../programs/cost.js'
import { vectorsAtOnce } from '../sums/shared-rows.js'
import { randomGenerator } from '../tensor/random.js'
import { tuneByMarginalLikelihood } from '../tuning/marginal-likelihood.js'
import { type CurvatureProducts, curvatureProducts } from './curvature-products.js'
import type { FitTask } from './fit-task.js'
import { functionSpaceDraws } from './function-space-draws.js'
import type { SomeRows } from './seeded-rows.js'

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
/** Rows of V up to which the equations are theirs, and matrices of that size that there are then at once. */
export const MOST_ROWS = 5000
const GRAMS = 4
/** Vectors of P doubles beside the draws while a solution runs. */
const VECTORS = 10

/** Draws, and what came with them. */
export interface Drawn {
  /** Draws around the mean over sqrt(K), K x P. */
  readonly rows: Float64Array | Float32Array
  /** The eigenvalues of H in units of the prior. */
  readonly density: SpectralDensity
  /** The standard error of the log evidence that follows from them. */
  readonly evidenceError: number
  /** The largest residual of the equations, over the square root of P, and whether all are solved. */
  readonly residual: number
  readonly converged: boolean
}

/** Where the equations of the draws are solved: in the space of the weights, or of the rows of the data. */
export interface DrawSpace {
  /** What the evidence of settings follows from, for tuning. */
  density(settings: PosteriorSettings, work: WorkOptions): Promise<SpectralDensity>
  draws(samples: number, settings: PosteriorSettings, work: WorkOptions): Promise<Drawn>
  dispose(): Promise<void>
}

/** What a fit by draws comes to. */
export interface SampledFit {
  readonly curvature: SampledCurvature
  readonly settings: PosteriorSettings
  readonly notes: readonly string[]
}

/** The space of the rows where they are few and have one prior, else that of the weights. */
export async function drawSpace(task: FitTask, rows: SomeRows, samples: number, work: WorkOptions): Promise<DrawSpace> {
  checkDraws(task, samples, rows.examples)
  if (inFunctionSpace(task, rows.examples)) return functionSpaceDraws(task, rows, work)
  const products = await curvatureProducts(task, rows, samples * USUAL_PRODUCTS, work)
  const draws: DrawSpace['draws'] = (count, settings, own) => weightSpaceDraws(task, count, products, settings, own)
  return {
    draws,
    density: async (settings, own) => (await draws(Math.min(samples, SEARCHED), settings, own)).density,
    dispose: () => products.dispose(),
  }
}

/** Whether the equations are those of the rows: few, of whole tensors with one prior precision. */
function inFunctionSpace({ evaluator: { slots, network }, options }: FitTask, examples: number): boolean {
  const { priorPrecision = 1 } = options.settings
  const count = examples * likelihoodModel(options.likelihood, options).seedCount(network.outputs)
  return count <= Math.min(MOST_ROWS, parameterCount(slots)) && slots.every(({ elements }) => elements === undefined)
    && (typeof priorPrecision === 'number' || priorPrecision.length === 1)
}

/** Draws under the settings of the task, or under those that maximise the evidence. @throws CancelledError */
export async function sampledFit(task: FitTask, samples: number, space: DrawSpace, data: DataFit,
  work: WorkOptions): Promise<SampledFit> {
  const { settings, notes } = await settingsFor(task, space, data, work)
  const { rows, density, ...own } = await space.draws(samples, settings, work)
  const curvature = sampled(task, samples, rows, density, settings)
  return { curvature, settings, notes: [...notes, ...sentences(samples, own)] }
}

function sampled({ evaluator: { slots } }: FitTask, count: number, rows: Drawn['rows'], density: SpectralDensity,
  settings: PosteriorSettings): SampledCurvature {
  return { structure: 'samples', size: parameterCount(slots), count, rows, density, precision: settings.priorPrecision,
    factor: hessianFactor(settings) }
}

/** The settings that are given, or where the evidence is largest: each round looks from where the one before came to. */
async function settingsFor(task: FitTask, space: DrawSpace, data: DataFit,
  work: WorkOptions): Promise<Pick<SampledFit, 'settings' | 'notes'>> {
  const { evaluator: { slots, theta }, options, plan } = task
  let settings: PosteriorSettings = { ...DEFAULT_SETTINGS, ...options.settings }
  if (plan.tune !== 'marglik') return { settings, notes: [] }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    work.onProgress?.({ stage: 'tune', done: round, total: MOST_ROUNDS })
    const density = await space.density(settings, quiet(work))
    // Tuning needs the spectrum alone, and no draw.
    const posterior = samplesPosterior(sampled(task, 1, new Float64Array(0), density, settings), slots, theta, settings)
    const found = tuneByMarginalLikelihood(posterior, data, { priorStructure: 'scalar', tuneNoise: options.tuneNoise })
    const moved = Math.max(
      change(Number(found.settings.priorPrecision), Number(settings.priorPrecision)),
      change(found.settings.sigmaNoise, settings.sigmaNoise),
    )
    settings = found.settings
    if (moved <= SETTLED_PRIOR) return { settings, notes: found.note === undefined ? [] : [found.note] }
  }
  return { settings, notes: ['The search for the prior precision by draws of the weights stopped before it settled.'] }
}

/** @throws ResourceError OUT_OF_MEMORY with how many draws fit */
function checkDraws(task: FitTask, samples: number, examples: number): void {
  const { memoryLimit: limit } = task.options
  const needed = bytesOfDraws(task, samples, examples)
  if (needed <= limit) return
  const none = bytesOfDraws(task, 0, examples)
  const fits = Math.floor((limit - none) / ((needed - none) / samples))
  throw new ResourceError('OUT_OF_MEMORY',
    `${samples} draws of ${parameterCount(task.evaluator.slots)} weights would need ${formatBytes(needed)}, more than `
      + `the limit of ${formatBytes(limit)} (option memoryLimit). ${
        fits > 0 ? `Take at most ${fits} (option samples).` : "Raise it, or use structure 'diag'."
      }`, { needed, limit, fits })
}

/** Bytes of the draws, which predictions hold a second time, and of what solves for those that are solved together. */
export function bytesOfDraws(task: FitTask, samples: number, examples: number): number {
  const { evaluator: { slots, precision, network }, options } = task
  const size = parameterCount(slots)
  const count = examples * likelihoodModel(options.likelihood, options).seedCount(network.outputs)
  return 2 * (precision === 'float32' ? 4 : 8) * samples * size
    + VECTORS * 8 * size * Math.max(1, Math.min(samples, vectorsAtOnce(size)))
    + (inFunctionSpace(task, examples) ? GRAMS * 8 * count ** 2 : 0)
}

/** Multiplications of so many draws. */
export function workOfDraws(task: FitTask, samples: number, examples: number): number {
  const { evaluator, options } = task
  const seeds = likelihoodModel(options.likelihood, options).seedCount(evaluator.network.outputs)
  const one = examples * multiplicationsPerExample(evaluator, 1)
  return inFunctionSpace(task, examples)
    ? 2 * samples * one + (examples * seeds) ** 3 / 3
    : samples * USUAL_PRODUCTS * one
}

/** How far a setting went, in logarithms. */
function change(a: number, b: number): number {
  return Math.abs(Math.log(a / b))
}

function quiet({ signal }: WorkOptions): WorkOptions {
  return signal === undefined ? {} : { signal }
}

/** What is said of the draws: how exact the estimates are, and the solutions. */
function sentences(count: number, { evidenceError, residual, converged }: Omit<Drawn, 'rows' | 'density'>): string[] {
  const percent = `${(100 * monteCarloError(count)).toPrecision(2)} %`
  return [
    `Variances are estimates by ${count} draws of the weights, with a relative standard error of ${percent}${
      evidenceError === 0 ? '' : `, and the log evidence has one of ${evidenceError.toPrecision(2)}`
    }; the draws solve their equations to a relative residual of ${residual.toExponential(1)}.`,
    ...(converged ? [] : [
      `Not converged: ${MOST_PRODUCTS} products did not bring every draw to a residual of ${SETTLED}. A larger prior `
      + "precision, precision 'float64' or scaled data make the equations easier.",
    ]),
  ]
}

/** Draws by conjugate gradients. */
async function weightSpaceDraws({ evaluator, options }: FitTask, count: number, products: CurvatureProducts,
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
