/**
 * @file The full covariance of a regression's noises that maximises the evidence at the network's weights, beside the
 * prior. With residuals r_n and S_n = J_n P^-1 J_n', d log p(D) / d Sigma^-1 = 0 is
 * Sigma = sum_n (r_n r_n' + S_n) / N: its right side at the present Sigma never lowers the evidence (log|P| is concave
 * in Sigma^-1; the step of expectation maximisation), is positive definite, and lies above the residuals' own
 * covariance.
 */
import { functionalVariance } from '../answer/functional-variance.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { programsByInput } from '../answer/programs-by-input.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { DataError, NumericalError } from '../errors/errors.js'
import { cholesky } from '../kernels/linear-algebra.js'
import { checkLabels } from '../likelihood/labels.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount } from '../tensor/examples.js'
import { identity } from '../tensor/identity.js'
import { toFloat64 } from '../tensor/tensor.js'
import type { FitTask } from './fit-task.js'

/** Steps at most, and the change of Sigma, over its diagonal, that ends them. */
const MOST_STEPS = 300
const SETTLED = 1e-10

/** The posterior of rows with a noise covariance that is given. */
export type FitToRows = (task: FitTask, rows: readonly Batch[], work: WorkOptions) => Promise<PosteriorState>

/**
 * The posterior with the noise covariance that the evidence chooses.
 * @throws NumericalError NOT_POSITIVE_DEFINITE where outputs err alike in every row; what the fits throw
 */
export async function fitWithNoiseCovariance(task: FitTask, rows: readonly Batch[], fit: FitToRows,
  work: WorkOptions): Promise<PosteriorState> {
  const { outputs } = task.evaluator.network
  const quiet = work.signal === undefined ? {} : { signal: work.signal }
  const fitAt = (covariance: Float64Array): Promise<PosteriorState> => fit(withNoise(task, covariance), rows, quiet)
  const step = async (covariance: Float64Array): Promise<{ state: PosteriorState, next: Float64Array }> => {
    throwIfCancelled(work.signal)
    const state = await fitAt(covariance)
    return { state, next: await momentOfErrors(state, rows, 1, quiet) }
  }
  let at = await startingPoint(await fitAt(identity(outputs)), rows, quiet)
  for (let steps = 0; steps < MOST_STEPS;) {
    work.onProgress?.({ stage: 'tune', done: steps, total: MOST_STEPS })
    const first = await step(at)
    if (change(at, first.next, outputs) < SETTLED) return noted(first.state, true)
    const second = await step(first.next)
    steps += 2
    if (change(first.next, second.next, outputs) < SETTLED) return noted(second.state, true)
    at = extrapolated(at, first.next, second.next, outputs)
  }
  return noted(await fitAt(at), false)
}

function noted(state: PosteriorState, converged: boolean): PosteriorState {
  const sentence = 'The covariance of the noises is the one that maximises the evidence'
  return { ...state, notes: [...state.notes, converged
    ? `${sentence}.`
    : `${sentence} within what ${MOST_STEPS} steps reach.`] }
}

/** The task with a covariance that is given. */
function withNoise(task: FitTask, noiseCovariance: Float64Array): FitTask {
  const { outputs } = task.evaluator.network
  const { settings } = task.options
  const options: ResolvedOptions = { ...task.options, tuneCovariance: false, noiseCovariance,
    outputNoise: Float64Array.from({ length: outputs }, (_, c) => Math.sqrt(noiseCovariance[c * (outputs + 1)])),
    settings: { ...settings, sigmaNoise: 1 } }
  return { ...task, options, pool: createWorkerPool(task.evaluator, options.likelihood, task.runtime, options) }
}

/** sum_n (r_n r_n' + share S_n) / N. */
async function momentOfErrors(state: PosteriorState, rows: readonly Batch[], share: number,
  work: WorkOptions): Promise<Float64Array> {
  const { network } = state.evaluator
  const { outputs } = network
  const sum = new Float64Array(outputs * outputs)
  let examples = 0
  for (const { x, y } of rows) {
    const count = exampleCount(x)
    const { mean, covariance } = await functionalVariance(state, programsByInput(state), x, {}, work)
    const targets = checkLabels(y, 'regression', count, network).values
    const errors = toFloat64(mean).map((value, i) => value - targets[i])
    const S = covariance.data
    for (let n = 0; n < count; n++) {
      for (let c = 0; c < outputs; c++) {
        for (let d = 0; d < outputs; d++) {
          sum[c * outputs + d] += errors[n * outputs + c] * errors[n * outputs + d]
            + share * Number(S[(n * outputs + c) * outputs + d])
        }
      }
    }
    examples += count
  }
  return sum.map(value => value / examples)
}

/** The residuals' own covariance, a little away from singular. */
async function startingPoint(state: PosteriorState, rows: readonly Batch[], work: WorkOptions): Promise<Float64Array> {
  const { outputs } = state.evaluator.network
  const moment = await momentOfErrors(state, rows, 0, work)
  let trace = 0
  for (let c = 0; c < outputs; c++) trace += moment[c * (outputs + 1)]
  if (!(trace > 0)) {
    throw new DataError('BAD_LABELS', 'The network meets every target exactly, so that no covariance of noises can be '
      + 'found: give one (option sigmaNoise), or rows that the network does not fit exactly.', { option: 'sigmaNoise' })
  }
  return moment.map((value, i) => value + (i % (outputs + 1) === 0 ? 1e-3 * trace / outputs : 0))
}

/** The largest change over the roots of the variances. */
function change(a: Float64Array, b: Float64Array, outputs: number): number {
  return b.reduce((most, value, i) => {
    const scale = Math.sqrt(b[Math.floor(i / outputs) * (outputs + 1)] * b[i % outputs * (outputs + 1)])
    return Math.max(most, Math.abs(value - a[i]) / scale)
  }, 0)
}

/**
 * Two steps and what they point to (Varadhan and Roland 2008, "Simple and globally convergent methods for accelerating
 * the convergence of any EM algorithm"), where that is positive definite.
 * @throws NumericalError NOT_POSITIVE_DEFINITE where the steps themselves are not
 */
function extrapolated(at: Float64Array, first: Float64Array, second: Float64Array, outputs: number): Float64Array {
  if (cholesky(outputs, second.slice()) >= 0) {
    throw new NumericalError('NOT_POSITIVE_DEFINITE',
      'The covariance of the noises has no maximum of the evidence that is positive definite: outputs err alike in '
        + 'every row. Leave one of them out, or give the covariance (option sigmaNoise).', { outputs })
  }
  const moved = first.map((value, i) => value - at[i])
  const turned = second.map((value, i) => value - first[i] - moved[i])
  const norm = (v: Float64Array): number => Math.sqrt(v.reduce((sum, value) => sum + value * value, 0))
  const length = Math.max(1, norm(moved) / norm(turned))
  const far = at.map((value, i) => value + 2 * length * moved[i] + length * length * turned[i])
  return far.every(Number.isFinite) && cholesky(outputs, far.slice()) < 0 ? far : second
}
