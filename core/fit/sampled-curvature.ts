/**
 * @file Posteriors of a curvature that is never formed, by draws of the weights: by conjugate gradients in the space of
 * the weights, or by the rows of the data where these are few.
 */
import { formatBytes } from '../budget/memory.js'
import { withoutProgress, type WorkOptions } from '../budget/progress.js'
import type { SampledCurvature } from '../curvature/curvature.js'
import { ResourceError } from '../errors/errors.js'
import { likelihoodModel } from '../likelihood/registry.js'
import type { SpectralDensity } from '../linear-model/lanczos-quadrature.js'
import { parameterCount } from '../network/parameter-slot.js'
import { DEFAULT_SETTINGS, hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import type { DataFit } from '../posterior/evidence.js'
import { monteCarloError, samplesPosterior } from '../posterior/samples.js'
import { factorNumbers } from '../programs/batch-memory.js'
import { gramMultiplications, jacobianMultiplications, multiplicationsPerExample } from '../programs/work.js'
import { vectorsAtOnce } from '../sums/shared-rows.js'
import { tuneByMarginalLikelihood } from '../tuning/marginal-likelihood.js'
import { curvatureProducts } from './curvature-products.js'
import type { Drawn, DrawSpace } from './draw-space.js'
import type { FitTask } from './fit-task.js'
import { functionSpaceDraws } from './function-space-draws.js'
import type { SomeRows } from './seeded-rows.js'
import { MOST_PRODUCTS, SETTLED, USUAL_PRODUCTS, weightSpaceDraws } from './weight-space-draws.js'

/** Draws, rounds and the change of log delta and log sigma that end the search for the prior. */
const SEARCHED = 16
const MOST_ROUNDS = 8
const SETTLED_PRIOR = 0.02
/** Rows of V up to which the equations are always theirs, and matrices of that size that there are then at once. */
const MOST_ROWS = 5000
const GRAMS = 4
/** Multiplications of the eigenvalues and of a Cholesky factor of n x n over n^3, at the rate of products. */
const DECOMPOSED = 3
/** Vectors of P doubles beside the draws while a solution runs. */
const VECTORS = 10

/** What a fit by draws comes to. */
export interface SampledFit {
  readonly curvature: SampledCurvature
  readonly settings: PosteriorSettings
  readonly notes: readonly string[]
}

/** The space of the rows where they are few and have one prior, else that of the weights. */
export async function drawSpace(task: FitTask, rows: SomeRows, samples: number, work: WorkOptions): Promise<DrawSpace> {
  checkDraws(task, samples, rows.examples)
  if (inFunctionSpace(task, samples, rows.examples)) return functionSpaceDraws(task, rows, work)
  const products = await curvatureProducts(task, rows, samples * USUAL_PRODUCTS, work)
  const draws: DrawSpace['draws'] = (count, settings, own) => weightSpaceDraws(task, count, products, settings, own)
  return {
    draws,
    density: async (settings, own) => (await draws(Math.min(samples, SEARCHED), settings, own)).density,
    dispose: () => products.dispose(),
  }
}

/**
 * Whether the equations are those of the rows: of whole tensors with one prior precision, where V V' is small, or fits
 * and takes less than conjugate gradients.
 */
function inFunctionSpace(task: FitTask, samples: number, examples: number): boolean {
  const { evaluator: { slots }, options } = task
  const { priorPrecision = 1 } = options.settings
  const count = examples * seedsOf(task)
  if (count > parameterCount(slots) || slots.some(({ elements }) => elements !== undefined)
    || typeof priorPrecision !== 'number' && priorPrecision.length !== 1) return false
  return count <= MOST_ROWS || 8 * GRAMS * count ** 2 <= options.memoryLimit / 2
      && functionSpaceWork(task, samples, examples) <= weightSpaceWork(task, samples, examples)
}

function seedsOf({ evaluator: { network }, options }: FitTask): number {
  return likelihoodModel(options.likelihood, options).seedCount(network.outputs)
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

/** The settings that are given, or where the evidence is largest: a round looks from where the one before came to. */
async function settingsFor(task: FitTask, space: DrawSpace, data: DataFit,
  work: WorkOptions): Promise<Pick<SampledFit, 'settings' | 'notes'>> {
  const { evaluator: { slots, theta }, options, plan } = task
  let settings: PosteriorSettings = { ...DEFAULT_SETTINGS, ...options.settings }
  if (plan.tune !== 'marglik') return { settings, notes: [] }
  // Several precisions are no place to look for one from.
  if (typeof settings.priorPrecision !== 'number') settings = { ...settings, priorPrecision: 1 }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    work.onProgress?.({ stage: 'tune', done: round, total: MOST_ROUNDS })
    const density = await space.density(settings, withoutProgress(work))
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
export function checkDraws(task: FitTask, samples: number, examples: number): void {
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
  const { slots, precision } = task.evaluator
  const [size, number] = [parameterCount(slots), precision === 'float32' ? 4 : 8]
  const seeds = seedsOf(task)
  const inRows = GRAMS * 8 * (examples * seeds) ** 2 + 2 * number * examples * factorNumbers(task.evaluator, seeds)
  return 2 * number * samples * size
    + VECTORS * 8 * size * Math.max(1, Math.min(samples, vectorsAtOnce(size)))
    + (inFunctionSpace(task, samples, examples) ? inRows : 0)
}

/** Multiplications of so many draws. */
export function workOfDraws(task: FitTask, samples: number, examples: number): number {
  return (inFunctionSpace(task, samples, examples) ? functionSpaceWork : weightSpaceWork)(task, samples, examples)
}

function functionSpaceWork(task: FitTask, samples: number, examples: number): number {
  const { evaluator } = task
  const seeds = seedsOf(task)
  return examples * multiplicationsPerExample(evaluator, seeds) + gramMultiplications(evaluator, examples, seeds)
    + DECOMPOSED * (examples * seeds) ** 3 + samples * examples * jacobianMultiplications(evaluator)
}

function weightSpaceWork({ evaluator }: FitTask, samples: number, examples: number): number {
  return samples * USUAL_PRODUCTS * examples * jacobianMultiplications(evaluator)
}

/** How far a setting went, in logarithms. */
function change(a: number, b: number): number {
  return Math.abs(Math.log(a / b))
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
