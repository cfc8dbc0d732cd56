/** @file The noise of a regression's last layer, and the answer that goes with it. */
import { hasTunedNoises, outputDeltas, type OutputHyperparameters, withOutputNoise } from '../answer/output-noise.js'
import { type PosteriorState, withScores } from '../answer/posterior-state.js'
import type { WorkOptions } from '../budget/progress.js'
import { NumericalError } from '../errors/errors.js'
import { type LeftOut, sortedMeanVariances } from '../linear-model/leave-one-out.js'
import { gaussianNll } from '../metrics/nll.js'
import { givesNoise } from '../options/noise.js'
import { type ResolvedOptions, withOpenPrior } from '../options/resolved-options.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { LinearData } from '../sums/linear-data.js'
import { geometricMean, rootMeanSquare } from '../tensor/means.js'
import type { Choice } from '../tuning/choice.js'
import { inUnitsOfExcess } from '../tuning/error-scale.js'
import { explainLastLayerRegression, explainNoiseOfAllWeights } from '../tuning/explain.js'
import { withoutFloorNotes } from '../tuning/noise-floor.js'
import { targetScores } from '../tuning/training-scores.js'
import { forecastLinearModel } from './linear-fit-cost.js'
import type { TrainingRows } from './linear-fit-result.js'
import { fitLinearModel } from './linear-fit.js'
import { type SampledRows, SMALLEST_REST } from './sampled-rows.js'

/** Prior and noise of a regression by the linear model over all weights, an output each. */
export type RegressionNoise = OutputHyperparameters

/**
 * Prior and noise of a regression, for a posterior of its last layer: the features have seen the rows, so that all
 * weights must say how much of the residuals was learnt by heart: by the leave-one-out residuals of their linear
 * model, as most of its own variance is not the last layer's. Undefined where their linear model is too large or
 * fails.
 */
export async function regressionNoise(evaluator: Evaluator, options: ResolvedOptions, rows: TrainingRows,
  work: WorkOptions): Promise<RegressionNoise | undefined> {
  const forecast = forecastLinearModel(evaluator, options, rows.examples)
  if (forecast === undefined) return undefined
  try {
    const { curvature, sigmaNoise, leftOutNoise } = await fitLinearModel(evaluator, withOpenPrior(options), rows,
      forecast.sample, work)
    return { delta: curvature.models.map(({ delta }) => delta), sigma: Array.from(leftOutNoise ?? sigmaNoise) }
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  }
}

/**
 * Rows with the outputs of network and linear model on them, N x C, the covariances of the latter, N x C x C, and what
 * an example's positions are predicted from all other examples, where it has several.
 */
interface RowGaussians {
  readonly rows: SampledRows
  readonly f: Float64Array
  readonly linear: Float64Array
  readonly covariance: Float64Array
  readonly byExample: LeftOut | undefined
}

/**
 * The noise of a regression: of all weights where it is known, else from the leave-one-out residuals of the last
 * layer's linear model: those of rows that the features have seen are still too small, but far less so than the
 * training residuals. An output each; the posterior's own sigma is their root mean square.
 */
export function regressionAnswer(state: PosteriorState, data: LinearData, gaussians: RowGaussians, reason: string,
  noise: RegressionNoise | undefined): PosteriorState {
  const { rows, f, linear } = gaussians
  const { examples, outputs, labels } = rows
  const { structured, options } = state
  const fitted = Float64Array.from({ length: outputs },
    (_, c) => options.outputNoise?.[c] ?? structured.settings.sigmaNoise)
  const { residuals, covariance } = leftOutResiduals(gaussians, fitted)
  const sigma = noise?.sigma ?? lastLayerNoises(state, rows, residuals, fitted)
  const given = !hasTunedNoises(state) && givesNoise(options)
  const variances = Float64Array.from(f, (_, i) => sigma[i % outputs] ** 2)
  const score = (mean: Float64Array): number => gaussianNll(mean, variances, labels)
  const choice: Choice = {
    link: 'map',
    varianceScale: 1,
    networkWeight: 0.5,
    linearWeight: 0.5,
    subset: 'last_layer',
    structure: structured.structure,
    reason,
    explanation: noise === undefined
      ? explainLastLayerRegression(sigma, given, examples)
      : explainNoiseOfAllWeights(sigma, examples),
    delta: outputDeltas(state),
    sigmaNoise: sigma,
    r: undefined,
    s: 1,
    networkNll: score(f),
    leaveOneOutNll: score(linear),
    leaveOneOut: [{ scale: 1, nll: score(linear) }],
    rows: examples,
  }
  const noisy = withNoises(state, data, sigma)
  const mean = f.map((value, i) => (value + linear[i]) / 2)
  const variance = noisy.structured.lastLayerVariance(rows.features, examples, 'diagonal')
    .map((value, i) => value + variances[i])
  const raised = sigma.every((value, c) => value > fitted[c])
  const scores = sigma.map((value, c) =>
    Float64Array.from({ length: examples }, (_, n) => {
      const i = n * outputs + c
      return Math.abs(residuals[i]) / Math.sqrt(covariance[i * outputs + c] + value * value)
    }).sort()
  )
  return { ...withScores(noisy, targetScores(mean, variance, labels, outputs)), tuned: 'auto', choice,
    notes: raised ? withoutFloorNotes(noisy.notes) : noisy.notes,
    trainingVariances: sortedMeanVariances(covariance, examples, outputs, sigma.map(value => value * value)),
    leftOut: { kind: 'residuals', scores: noise === undefined ? scores : scores.map(inUnitsOfExcess) } }
}

/**
 * Each row predicted from all others: residuals, N x C, and on the diagonals of N x C x C the variances.
 * @param fitted sigma of the posterior, C
 */
function leftOutResiduals({ rows: { examples, outputs, labels }, linear, covariance, byExample }: RowGaussians,
  fitted: Float64Array): { readonly residuals: Float64Array, readonly covariance: Float64Array } {
  if (byExample !== undefined) {
    return { residuals: byExample.f.map((value, i) => labels[i] - value), covariance: byExample.covariance }
  }
  const residuals = new Float64Array(examples * outputs)
  const left = new Float64Array(covariance.length)
  for (let i = 0; i < residuals.length; i++) {
    const c = i % outputs
    const variance = covariance[i * outputs + c]
    // f_var = sigma^2 h with the leverage h of the row.
    const rest = Math.max(SMALLEST_REST, 1 - variance / fitted[c] ** 2)
    residuals[i] = (labels[i] - linear[i]) / rest
    left[i * outputs + c] = variance / rest
  }
  return { residuals, covariance: left }
}

/** The noise of each output that was not given: the root mean square of its leave-one-out residuals. */
function lastLayerNoises(state: PosteriorState, rows: SampledRows, residuals: Float64Array,
  fitted: Float64Array): number[] {
  const { outputs, examples } = rows
  const { settings, outputNoise } = state.options
  const given = hasTunedNoises(state) ? undefined : outputNoise
  const squares = new Float64Array(outputs)
  residuals.forEach((residual, i) => squares[i % outputs] += residual ** 2 / examples)
  return Array.from(squares,
    (square, c) => given?.[c] ?? settings.sigmaNoise ?? Math.max(Math.sqrt(square), leastNoise(rows, c, fitted[c])))
}

/** The state with these noises, unless its own were given. */
function withNoises(state: PosteriorState, data: LinearData, sigma: readonly number[]): PosteriorState {
  if (hasTunedNoises(state)) return withOutputNoise(state, data, { sigma, delta: outputDeltas(state) })
  if (state.options.outputNoise !== undefined) return state
  return { ...state, structured: state.structured.withSettings({ sigmaNoise: rootMeanSquare(sigma) }) }
}

/** A thousandth of the targets' standard deviation. */
const SMALLEST_NOISE = 1e-3

/**
 * What the noise of output c does not fall below: that of the evidence where there is one output; of several it is
 * common to all, and an output on a small scale would get the noise of one on a large scale.
 */
function leastNoise({ labels, outputs, examples }: SampledRows, c: number, common: number): number {
  if (outputs === 1) return common
  const own = Float64Array.from({ length: examples }, (_, n) => labels[n * outputs + c])
  const mean = own.reduce((sum, value) => sum + value / examples, 0)
  const square = own.reduce((sum, value) => sum + (value - mean) ** 2 / examples, 0)
  return square > 0 ? SMALLEST_NOISE * Math.sqrt(square) : common
}

/**
 * The noise that all weights say. So is the prior of one output; of several it stays that of the last layer: the hidden
 * weights see outputs on other scales, the rows of the last layer do not.
 */
export function withNoise(state: PosteriorState, data: LinearData, { sigma, delta }: RegressionNoise): PosteriorState {
  if (hasTunedNoises(state)) return withOutputNoise(state, data, { sigma, delta: outputDeltas(state) })
  return { ...state,
    structured: state.structured.withSettings({ priorPrecision: geometricMean(delta),
      sigmaNoise: rootMeanSquare(sigma) }) }
}
