/** @file The prior of a posterior over all weights from their linear model. */
import type { PosteriorState } from '../answer/posterior-state.js'
import type { WorkOptions } from '../budget/progress.js'
import { withOpenPrior } from '../options/resolved-options.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import { structuredPosterior } from '../posterior/structured.js'
import { startAccumulation } from '../sums/accumulation.js'
import { geometricMean, rootMeanSquare } from '../tensor/means.js'
import { float64 } from '../tensor/tensor.js'
import { forecastLinearModel, tooLarge } from './linear-fit-cost.js'
import type { TrainingRows } from './linear-fit-result.js'
import { fitLinearModel } from './linear-fit.js'

/**
 * The prior (and noise) of a posterior over all weights from their linear model; its structure and its mean stay. The
 * Kronecker and diagonal structures are far too wide with it, which a note says.
 */
export async function priorFromLinearModel(fitted: PosteriorState, rows: TrainingRows,
  work: WorkOptions): Promise<PosteriorState> {
  const { evaluator, options } = fitted
  const forecast = forecastLinearModel(evaluator, options, rows.examples)
  if (forecast === undefined) {
    return { ...fitted,
      notes: [...fitted.notes, `${tooLarge(evaluator, options, rows.examples)} The prior was not tuned.`] }
  }
  const fit = await fitLinearModel(evaluator, withOpenPrior(options), rows, forecast.sample, work)
  const deltas = fit.curvature.models.map(({ delta }) => delta)
  const priorPrecision = geometricMean(deltas)
  const noise = rootMeanSquare(Array.from(fit.sigmaNoise))
  const apart = options.likelihood === 'regression' && options.tuneNoise && evaluator.network.outputs > 1
  const state = apart ? await summedWithNoise(fitted, rows, fit.sigmaNoise, work) : fitted
  const { structured } = state
  return {
    ...state,
    structured: structured.withSettings({ priorPrecision,
      ...(options.likelihood === 'regression' && state.options.outputNoise === undefined
        ? { sigmaNoise: noise }
        : {}) }),
    tuned: 'auto',
    effectiveParameters: fit.effectiveParameters,
    notes: [...state.notes, ...fit.notes,
      `The prior is that of the linear model over all weights. With structure '${structured.structure}' its error `
      + "bars are too wide; the structure 'lowrank' has the covariance that belongs to it."],
  }
}

/** The state with the curvature of noises of the outputs' own, which is not that of one noise for all. */
async function summedWithNoise(state: PosteriorState, { x, labels, examples }: TrainingRows, noise: Float64Array,
  work: WorkOptions): Promise<PosteriorState> {
  const { evaluator, runtime, structured } = state
  const options = { ...state.options, outputNoise: noise }
  const pool = createWorkerPool(evaluator, options.likelihood, runtime, options)
  const accumulation = startAccumulation(evaluator, pool, options, false, () => undefined)
  const arrays = Array.from(x, ([name, values]) => ({ name, values }))
  await accumulation.add(arrays, float64([examples, noise.length], labels), work)
  const { curvature, loss } = await accumulation.sums()
  return { ...state, options, pool, loss, fitted: curvature,
    structured: structuredPosterior(curvature, structured.slots, structured.mean, { ...structured.settings,
      sigmaNoise: 1 }) }
}
