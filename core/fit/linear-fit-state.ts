/** @file The state of a posterior that is the linear model over all weights: its fit, and what was chosen and why. */
import { withHeldOutScores } from '../answer/held-out-answer.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { checkBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import { notesOfFixed } from '../network/linear-network.js'
import { givesNoise } from '../options/noise.js'
import { type ResolvedOptions, withOpenPrior } from '../options/resolved-options.js'
import type { Subset } from '../options/words.js'
import { structuredPosterior } from '../posterior/structured.js'
import type { Batch } from '../tensor/batch.js'
import { geometricMean } from '../tensor/means.js'
import type { Choice } from '../tuning/choice.js'
import { explainGate, explainRegression } from '../tuning/explain.js'
import type { FitTask, LinearTask } from './fit-task.js'
import { heldOutRows } from './held-out-rows.js'
import type { LinearForecast } from './linear-fit-cost.js'
import type { LinearFit, TrainingRows } from './linear-fit-result.js'
import { fitLinearModel } from './linear-fit.js'

/** What a fit of the linear model is told beside its rows. */
export interface LinearStateRequest {
  readonly forecast: LinearForecast
  /** Rows that the network has not seen. */
  readonly heldOut: Batch | undefined
  readonly notes: readonly string[]
}

/**
 * Fits the linear model, and gives the state of its posterior.
 * @throws ResourceError OUT_OF_MEMORY; NumericalError; CancelledError
 */
export async function fitLinearState(task: FitTask, linear: LinearTask, rows: TrainingRows,
  { forecast, heldOut, notes }: LinearStateRequest, work: WorkOptions): Promise<PosteriorState> {
  const { evaluator, pool } = linear
  const { graph, runtime, network } = task
  // A precision beside a way of tuning is where that begins; this way begins elsewhere.
  const options = task.options.tune === undefined || task.options.tune === 'none'
    ? task.options
    : withOpenPrior(task.options)
  checkBytes('The linear model over all weights', forecast.bytes, "Use subset 'last_layer'.")
  const validated = heldOut !== undefined && options.calibrate === undefined
    ? heldOutRows(heldOut, evaluator, options.likelihood)
    : undefined
  const fit = await fitLinearModel(evaluator, options, rows, forecast.sample, work, { pool, heldOut: validated })
  const deltas = fit.curvature.models.map(({ delta }) => delta)
  const settings = {
    ...options.settings,
    priorPrecision: deltas.length === 1 ? deltas[0] : geometricMean(deltas),
    sigmaNoise: fit.sigmaNoise.length === 1 ? fit.sigmaNoise[0] : 1,
  }
  const state: PosteriorState = {
    graph,
    evaluator,
    pool,
    options: { ...options, subset: 'all', subsetName: subsetOf(options) },
    runtime,
    examples: rows.examples,
    loss: fit.loss,
    fitted: undefined,
    structured: structuredPosterior(fit.curvature, evaluator.slots, evaluator.theta, settings),
    mode: undefined,
    tuned: options.settings.priorPrecision === undefined ? 'auto' : 'none',
    effectiveParameters: fit.effectiveParameters,
    choice: choiceOf(fit, options, rows.examples),
    trainingVariances: fit.trainingVariances,
    leftOut: fit.leftOut,
    conformal: undefined,
    training: fit.training,
    notes: [...network.notes, ...notesOfFixed(network), ...notes, ...fit.notes],
  }
  return heldOut === undefined ? state : withHeldOutScores(state, heldOut, fit.gain, work)
}

/** The subset of a linear model in the user's words: all weights, or a last layer with something behind it. */
function subsetOf({ subset, subsetName }: ResolvedOptions): Subset {
  return subset === 'all' ? subsetName : 'all'
}

function choiceOf(fit: LinearFit, options: ResolvedOptions, examples: number): Choice {
  const { likelihood } = options
  const { answer, curvature, scores, rows, allRows, scoresOfAllRows, networkNll, ratio, doubt } = fit
  const score = scores.find(({ scale }) => scale === answer.varianceScale) ?? scores[0]
  const regression = likelihood === 'regression'
  const sample = rows === examples
    ? ''
    : allRows
    ? ` ${regression ? 'Mode' : 'Mode, prior'} and covariance are those of all ${examples} rows, by products with the `
      + `Jacobian; ${regression ? 'prior, noise and scores' : 'the scores'} come from ${rows} of them, drawn by the `
      + `seed${scoresOfAllRows === true ? '' : ', and their own linear model'}.`
    : ` Prior, scores and posterior come from ${rows} of the ${examples} rows, drawn by the seed.`
  return {
    ...answer,
    subset: subsetOf(options),
    structure: 'lowrank',
    reason: `${
      subsetOf(options) === 'all' ? 'All weights' : 'The last linear layer'
    } by their linear model: the network has derivatives, and the model is small enough.${sample}`,
    explanation: regression
      ? explainRegression({ ...answer, sigma: Array.from(fit.sigmaNoise), given: givesNoise(options),
        errorScale: fit.errorScale ?? [1], ratio: ratio ?? 1 }, rows)
      : explainGate({ ...answer, ratio: ratio ?? 1, doubt, networkNll, leftOutNll: score.nll, leaveOneOutNll: scores },
        rows),
    delta: curvature.models.map(({ delta }) => delta),
    sigmaNoise: regression ? Array.from(fit.sigmaNoise) : undefined,
    r: ratio,
    s: answer.varianceScale,
    networkNll,
    leaveOneOutNll: score.nll,
    leaveOneOut: scores,
    rows,
  }
}
