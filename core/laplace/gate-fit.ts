/**
 * @file How much of the answer a last layer's linear model gets, and the prior of all weights from their linear
 * model.
 */
import type { WorkOptions } from '../budget/progress.js'
import { isSum } from '../curvature/curvature.js'
import { lastLayerTimes } from '../curvature/last-layer.js'
import { NumericalError } from '../errors/errors.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { leaveOneOut, type LeftOut, sortedMeanVariances } from '../linear-model/leave-one-out.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import { givesNoise } from '../options/noise.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { decomposeAhead } from '../parallel/decompositions.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import { structuredPosterior } from '../posterior/structured.js'
import { predictiveProbabilities } from '../prediction/link.js'
import { differenceLink, mixture, scaledProbabilities } from '../prediction/mixture.js'
import { zeroSumOfIndependent } from '../prediction/zero-sum.js'
import type { Evaluator } from '../programs/evaluator.js'
import { startAccumulation } from '../sums/accumulation.js'
import type { LinearData } from '../sums/linear-data.js'
import { geometricMean, rootMeanSquare } from '../tensor/means.js'
import { sampledRows, takeRows } from '../tensor/rows.js'
import { float64 } from '../tensor/tensor.js'
import type { Choice } from '../tuning/choice.js'
import { inUnitsOfExcess } from '../tuning/error-scale.js'
import { explainGate, explainLastLayerRegression, explainNoiseOfAllWeights } from '../tuning/explain.js'
import { type Gate, lastLayerGate, lastLayerRule } from '../tuning/gate.js'
import { leftOutProbabilities } from '../tuning/left-out-probabilities.js'
import { withoutFloorNotes } from '../tuning/noise-floor.js'
import { classScores, targetScores, type TrainingScores } from '../tuning/training-scores.js'
import { exampleRows, withoutEachExample } from './left-out-examples.js'
import type { TrainingRows } from './linear-fit-result.js'
import { fitLinearModel } from './linear-fit.js'
import { forecastLinearModel, tooLarge } from './low-rank-fit.js'
import { hasTunedNoises, outputDeltas, type OutputHyperparameters, withOutputNoise } from './output-noise.js'
import type { PosteriorState } from './posterior-state.js'

/** Numbers that the covariances of the sampled rows may hold together. */
const COVARIANCE_NUMBERS = 1 << 24
/** Outputs up to which a row's whole covariance is used. */
const MOST_COVARIANCES = 200
/** The smallest part of an output's precision that is left without a row. */
const SMALLEST_REST = 1e-3
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
  /** Rows of each example, where an example has several. */
  readonly sizes?: Int32Array
}

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
    const { curvature, sigmaNoise, leftOutNoise } = await fitLinearModel(evaluator, options, rows, forecast.sample,
      work)
    return { delta: curvature.models.map(({ delta }) => delta), sigma: Array.from(leftOutNoise ?? sigmaNoise) }
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  }
}

/**
 * The state of a last-layer posterior at its linear model's mode, with the gate's answer.
 * @param reason why it is the last layer
 * @param noise of a regression, where all weights could say it
 */
export async function answerByGate(tuned: PosteriorState, data: LinearData, reason: string, work: WorkOptions,
  noise?: RegressionNoise): Promise<PosteriorState> {
  const state = noise === undefined ? tuned : withNoise(tuned, data, noise)
  const { pool, options: { memoryLimit } } = state
  try {
    await decomposeAhead(state.structured, { pool, memoryLimit, stage: 'tune' }, work)
    return gated(state, data, reason, noise)
  } catch (error) {
    if (!(error instanceof NumericalError)) throw error
    // An approximate structure can claim more of a direction for one row than all rows together have.
    const note =
      `No row can be left out of a posterior of structure ${state.structured.structure} here (${error.message}), `
      + "so that the prior is tuned by 'linearized' and the network answers with its own mean."
    return { ...state, notes: [...state.notes, note] }
  }
}

function gated(state: PosteriorState, data: LinearData, reason: string,
  noise: RegressionNoise | undefined): PosteriorState {
  const { mode, structured, evaluator, options } = state
  if (mode === undefined) return state
  const { outputs } = evaluator.network
  const rows = sampleRows(data, outputs, likelihoodModel(options.likelihood).targetWidth(outputs), state)
  const { examples } = rows
  const own = (weights: Float64Array): Float64Array =>
    lastLayerTimes(structured.slots, rows.features, examples, weights)
  const f = own(structured.mean)
  const linear = own(mode.weights)
  const byExample = rows.sizes !== undefined && isSum(structured.curvature) && outputs <= MOST_COVARIANCES
    ? withoutEachExample(structured, structured.curvature, { ...rows, sizes: rows.sizes }, linear, options)
    : undefined
  if (options.likelihood === 'regression') {
    const covariance = structured.lastLayerVariance(rows.features, examples, 'covariance')
    return regressionAnswer(state, data, rows, { f, linear, covariance, byExample }, reason, noise)
  }
  const { probabilities, variances, posterior, sets } = outputs > MOST_COVARIANCES
    ? scoresByVariance(state, rows, linear)
    : scoresByCovariance(state, rows, f, linear, byExample)
  const gate = lastLayerGate(rows, f, probabilities)
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
    delta: outputDeltas(state),
    sigmaNoise: undefined,
    r: ratio,
    s: varianceScale,
    networkNll,
    leaveOneOutNll: leaveOneOutNll[0].nll,
    leaveOneOut: leaveOneOutNll,
    rows: examples,
  }
  return { ...withScores(state, posterior(gate)), tuned: 'auto', choice, trainingVariances: variances,
    leftOut: sets(gate) }
}

/** The state with the posterior's scores on its rows. */
function withScores(state: PosteriorState, posterior: TrainingScores | undefined): PosteriorState {
  return state.training === undefined ? state : { ...state, training: { ...state.training, posterior } }
}

/** What the rows say, each predicted from all the others and with itself. */
interface RowScores {
  /** Left out, with the variance times the rule's factor: N x C. */
  readonly probabilities: Float64Array
  /** Mean over the outputs of each row's leave-one-out variance, ascending. */
  readonly variances: Float64Array
  /** The answer's scores on the rows; undefined where their covariances are not affordable. */
  posterior(gate: Gate): TrainingScores | undefined
  /** Scores of sets of classes; undefined likewise. */
  sets(gate: Gate): ReturnType<typeof leftOutProbabilities>
}

function scoresByCovariance({ structured }: PosteriorState, rows: SampledRows, f: Float64Array, linear: Float64Array,
  byExample: LeftOut | undefined): RowScores {
  const { examples, outputs, likelihood, labels } = rows
  const covariance = structured.lastLayerVariance(rows.features, examples, 'covariance')
  const leftOut = byExample ?? leaveOneOut(rows, linear, covariance)
  return {
    probabilities: scaledProbabilities(differenceLink(likelihood, outputs), likelihood, leftOut.f, leftOut.covariance,
      lastLayerRule(likelihood, outputs).varianceScale, examples, outputs),
    variances: sortedMeanVariances(leftOut.covariance, examples, outputs),
    posterior: gate => {
      const { probabilities } = mixture(likelihood, gate, { f, linear, covariance, kind: 'covariance', examples,
        outputs })
      return classScores(likelihood, probabilities, labels, outputs)
    },
    sets: gate => leftOutProbabilities(rows, leftOut, gate),
  }
}

/**
 * With many classes the probability of each is small, so that Lambda and the covariance of the outputs are nearly
 * diagonal: every output is left out on its own, s / (1 - lambda s), where whole matrices would cost C^3 a row.
 */
function scoresByVariance({ structured }: PosteriorState, rows: SampledRows, linear: Float64Array): RowScores {
  const { examples, outputs, likelihood, labels } = rows
  const variance = structured.lastLayerVariance(rows.features, examples, 'diagonal')
  const lambda = likelihood.hessianDiagonal(linear, examples, outputs)
  const residual = likelihood.residual(linear, labels, examples, outputs)
  const rest = variance.map((value, i) => value / Math.max(SMALLEST_REST, 1 - lambda[i] * value))
  const left = linear.map((value, i) => value + rest[i] * residual[i])
  const counted = likelihood.name === 'classification' ? zeroSumOfIndependent(rest, outputs) : rest
  const { varianceScale: scale } = lastLayerRule(likelihood, outputs)
  const probabilities = predictiveProbabilities('probit', likelihood, left, counted.map(value => scale * value),
    examples, outputs, 0, 0)
  const means = new Float64Array(examples)
  for (let i = 0; i < rest.length; i++) means[Math.floor(i / outputs)] += rest[i] / outputs
  return { probabilities, variances: means.sort(), posterior: () => undefined, sets: () => undefined }
}

/**
 * The noise that all weights say. So is the prior of one output; of several it stays that of the last layer: the hidden
 * weights see outputs on other scales, the rows of the last layer do not.
 */
function withNoise(state: PosteriorState, data: LinearData, { sigma, delta }: RegressionNoise): PosteriorState {
  if (hasTunedNoises(state)) return withOutputNoise(state, data, { sigma, delta: outputDeltas(state) })
  return { ...state,
    structured: state.structured.withSettings({ priorPrecision: geometricMean(delta),
      sigmaNoise: rootMeanSquare(sigma) }) }
}

/** All rows, or a seeded sample whose covariances are affordable. */
function sampleRows(data: LinearData, outputs: number, width: number,
  { options, structured }: PosteriorState): SampledRows {
  const { features, labels, examples } = data
  const likelihood = likelihoodModel(options.likelihood, { labelSmoothing: options.labelSmoothing })
  if (data.sizes !== undefined) {
    const most = Math.floor(COVARIANCE_NUMBERS / (outputs * outputs))
    const rows = exampleRows(data, structured.size, width, most, options.seed)
    return { likelihood, outputs, examples: rows.labels.length / width, ...rows }
  }
  const numbers = outputs > MOST_COVARIANCES && likelihood.name !== 'regression' ? outputs : outputs * outputs
  const count = Math.min(examples, MOST_ROWS, Math.max(1, Math.floor(COVARIANCE_NUMBERS / numbers)))
  const chosen = sampledRows(examples, count, options.seed)
  return { likelihood, examples: count, outputs, features: takeRows(features, chosen, features.length / examples),
    labels: takeRows(labels, chosen, width) }
}

/**
 * Outputs of network and linear model on the rows, N x C, the covariances of the latter, N x C x C, and what an
 * example's positions are predicted from all other examples, where it has several.
 */
interface RowGaussians {
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
function regressionAnswer(state: PosteriorState, data: LinearData, rows: SampledRows,
  { f, linear, covariance, byExample }: RowGaussians, reason: string,
  noise: RegressionNoise | undefined): PosteriorState {
  const { examples, outputs, labels } = rows
  const { structured, options } = state
  const fitted = Float64Array.from({ length: outputs },
    (_, c) => options.outputNoise?.[c] ?? structured.settings.sigmaNoise)
  const squares = new Float64Array(outputs)
  const left = new Float64Array(covariance.length)
  const residuals = new Float64Array(examples * outputs)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      const at = (n * outputs + c) * outputs + c
      // f_var = sigma^2 h with the leverage h of the row.
      const rest = Math.max(1e-3, 1 - covariance[at] / fitted[c] ** 2)
      const error = labels[n * outputs + c] - linear[n * outputs + c]
      left[at] = byExample?.covariance[at] ?? covariance[at] / rest
      residuals[n * outputs + c] = byExample === undefined ?
        error / rest
        : labels[n * outputs + c] - byExample.f[n * outputs + c]
      squares[c] += residuals[n * outputs + c] ** 2 / examples
    }
  }
  const { settings: { sigmaNoise: given } } = options
  const outputNoise = hasTunedNoises(state) ? undefined : options.outputNoise
  const sigma = noise?.sigma ??
    Array.from(squares,
      (square, c) => outputNoise?.[c] ?? given ?? Math.max(Math.sqrt(square), leastNoise(rows, c, fitted[c])))
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
      ? explainLastLayerRegression(sigma, !hasTunedNoises(state) && givesNoise(options), examples)
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
  const mean = f.map((value, i) => (value + linear[i]) / 2)
  const noisy = hasTunedNoises(state)
    ? withOutputNoise(state, data, { sigma, delta: outputDeltas(state) })
    : outputNoise === undefined
    ? { ...state, structured: structured.withSettings({ sigmaNoise: common }) }
    : state
  const variance = noisy.structured.lastLayerVariance(rows.features, examples, 'diagonal')
    .map((value, i) => value + sigma[i % outputs] ** 2)
  const raised = sigma.every((value, c) => value > fitted[c])
  return { ...withScores(noisy, targetScores(mean, variance, labels)), tuned: 'auto', choice,
    notes: raised ? withoutFloorNotes(noisy.notes) : noisy.notes,
    trainingVariances: sortedMeanVariances(left, examples, outputs, sigma.map(noise => noise * noise)),
    leftOut: { kind: 'residuals', scores: sigma.map((value, c) => {
      const scores = Float64Array.from({ length: examples },
        (_, n) =>
          Math.abs(residuals[n * outputs + c]) / Math.sqrt(left[(n * outputs + c) * outputs + c] + value * value))
        .sort()
      return noise === undefined ? scores : inUnitsOfExcess(scores)
    }) } }
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
  const fit = await fitLinearModel(evaluator, options, rows, forecast.sample, work)
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
