/**
 * @file How much of the answer a last layer's linear model gets, and the prior of all weights from their linear model.
 */
import type { WorkOptions } from '../budget/progress.js'
import { lastLayerTimes } from '../curvature/last-layer.js'
import { NumericalError } from '../errors/errors.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { leaveOneOut, type LeftOut } from '../linear-model/leave-one-out.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { LinearData } from '../sums/linear-data.js'
import { randomGenerator } from '../tensor/random.js'
import type { Choice } from '../tuning/choice.js'
import { explainGate, explainLastLayerRegression, explainNoiseOfAllWeights } from '../tuning/explain.js'
import { lastLayerGate } from '../tuning/gate.js'
import { fitLinearModel, type TrainingRows } from './linear-fit.js'
import { forecastLinearModel, tooLarge } from './low-rank-fit.js'
import type { PosteriorState } from './posterior-state.js'

/** Numbers that the covariances of the sampled rows may hold together. */
const COVARIANCE_NUMBERS = 1 << 24
/** Rows that leave-one-out scores come from; more say hardly more. */
const MOST_ROWS = 5000

/** Weights of a last layer, and multiplications of one curvature, up to which its whole covariance is affordable. */
const MOST_WHOLE_WEIGHTS = 1200
const MOST_WHOLE_MULTIPLICATIONS = 1e10

/**
 * The state whose last layer gets its whole covariance where no structure was named and the layer is small. The
 * Kronecker one is not exact even for a linear model: its leave-one-out scores are too good, and prior and gate with
 * them.
 */
export function withWholeCovariance(state: PosteriorState, { examples }: LinearData): PosteriorState {
  const { options, structured } = state
  const size = structured.mean.length
  const small = size <= MOST_WHOLE_WEIGHTS && examples * size * size <= MOST_WHOLE_MULTIPLICATIONS
  return options.structureOpen && small ? { ...state, options: { ...options, structure: 'full' } } : state
}

/** The rows of a sample with their features. */
interface SampledRows extends LabelledRows {
  readonly features: Float64Array
}

/** Prior and noise of a regression by the linear model over all weights; the noise an output each. */
export interface RegressionNoise {
  readonly delta: number
  readonly sigma: readonly number[]
}

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
    const { curvature, sigmaNoise, leftOutNoise } = await fitLinearModel(evaluator, options, rows, forecast.sample,
      work)
    return { delta: geometricMean(curvature.models.map(({ delta }) => delta)),
      sigma: Array.from(leftOutNoise ?? sigmaNoise) }
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  }
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

/**
 * The state of a last-layer posterior at its linear model's mode, with the gate's answer.
 * @param reason why it is the last layer
 * @param noise of a regression, where all weights could say it
 */
export function answerByGate(tuned: PosteriorState, data: LinearData, reason: string,
  noise?: RegressionNoise): PosteriorState {
  const state = noise === undefined ? tuned : withNoise(tuned, noise)
  const { mode, structured, evaluator, options } = state
  if (mode === undefined) return state
  const { outputs } = evaluator.network
  const rows = sampleRows(data, outputs, likelihoodModel(options.likelihood).targetWidth(outputs), state)
  const { examples } = rows
  const own = (weights: Float64Array): Float64Array =>
    lastLayerTimes(structured.slots, rows.features, examples, weights)
  const f = own(structured.mean)
  const linear = own(mode.weights)
  const covariance = structured.lastLayerVariance(rows.features, examples, 'covariance')
  if (options.likelihood === 'regression') return regressionAnswer(state, rows, f, linear, covariance, reason, noise)
  const leftOut = leaveOneOut(rows, linear, covariance)
  const gate = lastLayerGate(rows, f, leftOut)
  const { link, varianceScale, networkWeight, linearWeight, ratio, networkNll, leaveOneOutNll } = gate
  const choice: Choice = {
    link,
    varianceScale,
    networkWeight,
    linearWeight,
    subset: 'last_layer',
    structure: structured.structure,
    reason,
    explanation: explainGate(gate, examples),
    delta: deltas(state),
    sigmaNoise: undefined,
    r: ratio,
    s: varianceScale,
    networkNll,
    leaveOneOutNll: leaveOneOutNll[0].nll,
    leaveOneOut: leaveOneOutNll,
    rows: examples,
  }
  return { ...state, tuned: 'auto', choice, trainingVariances: meanVariances(leftOut, examples, outputs, 1) }
}

function withNoise(state: PosteriorState, { delta, sigma }: RegressionNoise): PosteriorState {
  return { ...state,
    structured: state.structured.withSettings({ priorPrecision: delta, sigmaNoise: rootMeanSquare(sigma) }) }
}

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
}

function deltas({ structured }: PosteriorState): number[] {
  const { priorPrecision } = structured.settings
  return typeof priorPrecision === 'number' ? [priorPrecision] : Array.from(priorPrecision)
}

/** All rows, or a seeded sample whose covariances are affordable. */
function sampleRows({ features, labels, examples }: LinearData, outputs: number, width: number,
  { options }: PosteriorState): SampledRows {
  const likelihood = likelihoodModel(options.likelihood)
  const count = Math.min(examples, MOST_ROWS, Math.max(1, Math.floor(COVARIANCE_NUMBERS / (outputs * outputs))))
  const random = randomGenerator(options.seed)
  const order = Int32Array.from({ length: examples }, (_, i) => i)
  for (let i = 0; i < count && count < examples; i++) {
    const j = i + Math.floor(random.uniform() * (examples - i))
    const kept = order[i]
    order[i] = order[j]
    order[j] = kept
  }
  const rows = order.subarray(0, count).sort()
  const take = (values: ArrayLike<number>, wide: number): Float64Array => {
    const result = new Float64Array(count * wide)
    rows.forEach((row, i) => {
      for (let k = 0; k < wide; k++) result[i * wide + k] = values[row * wide + k]
    })
    return result
  }
  return { likelihood, examples: count, outputs, features: take(features, features.length / examples),
    labels: take(labels, width) }
}

/** The mean over the outputs of each row's leave-one-out variances over `noise`, ascending. */
function meanVariances({ covariance }: Pick<LeftOut, 'covariance'>, examples: number, outputs: number,
  noise: number): Float64Array {
  const means = new Float64Array(examples)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) means[n] += covariance[(n * outputs + c) * outputs + c] / (outputs * noise)
  }
  return means.sort()
}

/**
 * The noise of a regression: of all weights where it is known, else from the leave-one-out residuals of the last
 * layer's linear model: those of rows that the features have seen are still too small, but far less so than the
 * training residuals. An output each; the posterior's own sigma is their root mean square.
 */
function regressionAnswer(state: PosteriorState, rows: SampledRows, f: Float64Array, linear: Float64Array,
  covariance: Float64Array, reason: string, noise: RegressionNoise | undefined): PosteriorState {
  const { examples, outputs, labels } = rows
  const { structured, options } = state
  const sigma2 = structured.settings.sigmaNoise ** 2
  const squares = new Float64Array(outputs)
  const left = new Float64Array(covariance.length)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      const at = (n * outputs + c) * outputs + c
      // f_var = sigma^2 h with the leverage h of the row.
      const rest = Math.max(1e-3, 1 - covariance[at] / sigma2)
      left[at] = covariance[at] / rest
      squares[c] += ((labels[n * outputs + c] - linear[n * outputs + c]) / rest) ** 2 / examples
    }
  }
  const given = options.settings.sigmaNoise
  const sigma = noise?.sigma
    ?? Array.from(squares, square => given ?? Math.max(Math.sqrt(square), structured.settings.sigmaNoise))
  const common = rootMeanSquare(sigma)
  const score = (mean: Float64Array): number =>
    mean.reduce((sum, value, i) => {
      const residual = labels[i] - value
      const variance = sigma[i % outputs] ** 2
      return sum + 0.5 * (Math.log(2 * Math.PI * variance) + residual * residual / variance) / mean.length
    }, 0)
  const choice: Choice = {
    link: 'map',
    varianceScale: 1,
    networkWeight: 0.5,
    linearWeight: 0.5,
    subset: 'last_layer',
    structure: structured.structure,
    reason,
    explanation: noise === undefined
      ? explainLastLayerRegression(sigma, examples)
      : explainNoiseOfAllWeights(sigma, examples),
    delta: deltas(state),
    sigmaNoise: sigma,
    r: undefined,
    s: 1,
    networkNll: score(f),
    leaveOneOutNll: score(linear),
    leaveOneOut: [{ scale: 1, nll: score(linear) }],
    rows: examples,
  }
  return { ...state, structured: structured.withSettings({ sigmaNoise: common }), tuned: 'auto', choice,
    trainingVariances: meanVariances({ covariance: left }, examples, outputs, common * common) }
}

/**
 * The prior (and noise) of a posterior over all weights from their linear model; its structure and its mean stay. The
 * Kronecker and diagonal structures are far too wide with it, which a note says.
 */
export async function priorFromLinearModel(state: PosteriorState, rows: TrainingRows,
  work: WorkOptions): Promise<PosteriorState> {
  const { evaluator, options, structured } = state
  const forecast = forecastLinearModel(evaluator, options, rows.examples)
  if (forecast === undefined) {
    return { ...state,
      notes: [...state.notes, `${tooLarge(evaluator, options, rows.examples)} The prior was not tuned.`] }
  }
  const fit = await fitLinearModel(evaluator, options, rows, forecast.sample, work)
  const deltas = fit.curvature.models.map(({ delta }) => delta)
  const priorPrecision = geometricMean(deltas)
  const noise = rootMeanSquare(Array.from(fit.sigmaNoise))
  return {
    ...state,
    structured: structured.withSettings({ priorPrecision,
      ...(options.likelihood === 'regression' ? { sigmaNoise: noise } : {}) }),
    tuned: 'auto',
    effectiveParameters: fit.effectiveParameters,
    notes: [...state.notes, ...fit.notes,
      `The prior is that of the linear model over all weights. With structure '${structured.structure}' its error bars are too wide; the `
      + "structure 'lowrank' has the covariance that belongs to it."],
  }
}
