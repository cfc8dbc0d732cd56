/**
 * @file The fit of the linear model over all weights: prior, noise, leave-one-out scores and how the answer is mixed.
 */
import type { WorkOptions } from '../budget/progress.js'
import { standardised } from '../curvature/scaled-jacobian.js'
import { addAgreement, zeroAgreement } from '../likelihood/agreement.js'
import { atPositions } from '../likelihood/at-positions.js'
import { termsOf } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { linearProblem } from '../linear-model/linear-problem.js'
import { termRows } from '../linear-model/term-rows.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { Evaluator } from '../programs/evaluator.js'
import { sampledRows, takeRows } from '../tensor/rows.js'
import { type AllRowsPlan, onAllRows, planAllRows } from './all-rows-fit.js'
import { regressionOnAllRows } from './all-rows-regression.js'
import { classificationFit } from './classification-fit.js'
import { largestRank, type LinearFit, type TrainingRows } from './linear-fit-result.js'
import { deviationFrom, errorsBeforeTraining, inUnits, linearise, linearisedHeldOut, termByTerm } from './linearise.js'
import { regressionFit } from './regression-fit.js'
import { priorInTargetUnits } from './target-units.js'
import { withAllRows, withRegressionOnAllRows } from './with-all-rows.js'

/** Rows of a regression that its curvature comes from four times at least. */
const FEWEST_REGRESSION = 500

/** What else a fit of the linear model may be given. */
export interface LinearFitRequest {
  /** What goes over all rows where only a sample of them can be solved exactly; without it the sample is all. */
  readonly pool?: WorkerPool | undefined
  /** Rows that choose prior, link, noise and weights together. */
  readonly heldOut?: TrainingRows | undefined
}

/**
 * Fits the linear model to (a seeded sample of) the rows.
 * @throws NumericalError, CancelledError
 */
export async function fitLinearModel(evaluator: Evaluator, options: ResolvedOptions, rows: TrainingRows, sample: number,
  work: WorkOptions, { pool, heldOut }: LinearFitRequest = {}): Promise<LinearFit> {
  const likelihood = likelihoodModel(options.likelihood, options)
  const count = pool === undefined ? sample : planLinearFit(evaluator, options, rows.examples, sample).rows
  const { f, jacobian } = await linearise(evaluator, rows, sampledRows(rows.examples, count, options.seed), options,
    work)
  const prior = likelihood.name === 'regression' ? priorInTargetUnits(evaluator, options, rows.labels) : undefined
  const { outputs } = evaluator.network
  const terms = termsOf(evaluator.network)
  const chosen = jacobian.rows
  const labels = takeRows(rows.labels, chosen, terms * likelihood.targetWidth(outputs))
  const all = termRows(likelihood, terms, outputs, rows.labels, rows.examples)
  const loss = likelihood.loss(all.values(f), all.rows.labels, all.rows.examples, outputs)
  const deviation = prior === undefined
    ? deviationFrom(evaluator.theta, options.settings.priorMean)
    : standardised(evaluator.theta, prior)
  const problem = linearProblem(atPositions(likelihood, terms, labels), evaluator.slots,
    inUnits(evaluator.slots, jacobian.factored, prior), takeRows(f, chosen, terms * outputs), labels, deviation)
  const held = heldOut === undefined
    ? undefined
    : await linearisedHeldOut(evaluator, heldOut, deviation, prior, options, work)
  const pieces = { problem, likelihood, terms, theta: evaluator.theta, deviation, prior, held }
  const { posterior, ...fit } = likelihood.name === 'regression'
    ? regressionFit(termByTerm(pieces), options,
      await errorsBeforeTraining(evaluator, { rows, labels, chosen, prior }, options, work), work)
    : await classificationFit(pieces, options, work)
  const agreement = addAgreement(zeroAgreement(likelihood.name, outputs), all.values(f), all.rows.labels,
    all.rows.examples)
  const sampled: LinearFit = { ...fit, loss, training: { agreement, posterior }, rows: chosen.length,
    allRows: chosen.length === rows.examples }
  // The rows of more examples than are solved exactly are taken one at a time there; positions come several at once.
  if (sampled.allRows || pool === undefined || terms > 1) return sampled
  const { curvature: { models } } = fit
  const [model] = models
  const regression = likelihood.name === 'regression'
  const plan = planAllRows(evaluator, options, rows.examples, regression ? FEWEST_REGRESSION : chosen.length,
    Math.max(...models.map(({ rank }) => rank)))
  if (plan === undefined) return sampled
  if (regression) {
    const whole = await regressionOnAllRows(plan, { evaluator, pool, options, problem, prior, models, all: rows, f },
      work)
    return withRegressionOnAllRows(sampled, problem, whole)
  }
  const whole = await onAllRows(plan, { evaluator, pool, options, problem, all: rows, f, model,
    given: held !== undefined || options.settings.priorPrecision !== undefined }, work)
  return withAllRows(sampled, problem, whole, held !== undefined)
}

/** What a fit goes through: rows that are solved exactly, and all rows after them where that is planned. */
export interface LinearPlan {
  readonly rows: number
  readonly allRows: AllRowsPlan | undefined
}

/**
 * The plan from shapes alone. Fewer rows are solved exactly where all rows come after them, as half the unknowns cost
 * an eighth.
 * @param sample the most rows that may be solved exactly
 */
export function planLinearFit(evaluator: Evaluator, options: ResolvedOptions, examples: number,
  sample: number): LinearPlan {
  if (sample === examples || termsOf(evaluator.network) > 1) return { rows: sample, allRows: undefined }
  const regression = options.likelihood === 'regression'
  const rows = regression ? sample : Math.ceil(sample / 2)
  const rank = largestRank(evaluator.theta.length, options.memoryLimit)
  const allRows = planAllRows(evaluator, options, examples, regression ? FEWEST_REGRESSION : rows, rank)
  return { rows: allRows === undefined ? sample : rows, allRows }
}
