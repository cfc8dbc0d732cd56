/**
 * @file The posterior of the linear model over all weights: whether it is small enough, and its state once it is
 * fitted.
 */
import { withHeldOutScores } from '../answer/held-out-answer.js'
import type { PosteriorState } from '../answer/posterior-state.js'
import { type Need, OTHER_THREAD_BYTES } from '../budget/forecast.js'
import { checkBytes, formatBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import { ResourceError } from '../errors/errors.js'
import { termsOf } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { notesOfFixed } from '../network/linear-network.js'
import { parameterCount } from '../network/parameter-slot.js'
import { givesNoise } from '../options/noise.js'
import { type ResolvedOptions, withOpenPrior } from '../options/resolved-options.js'
import type { Likelihood, Subset } from '../options/words.js'
import { structuredPosterior } from '../posterior/structured.js'
import { EIGEN_WORK } from '../programs/cost.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { Batch } from '../tensor/batch.js'
import { geometricMean } from '../tensor/means.js'
import type { Choice } from '../tuning/choice.js'
import { explainGate, explainRegression } from '../tuning/explain.js'
import type { FitTask, LinearTask } from './fit-task.js'
import { heldOutRows } from './held-out-rows.js'
import { largestRank, type LinearFit, type TrainingRows } from './linear-fit-result.js'
import { fitLinearModel, planLinearFit } from './linear-fit.js'

/** What the linear model of some rows needs. */
export interface LinearForecast {
  /** Rows that prior, noise and leave-one-out scores come from: all, or as many as are affordable. */
  readonly sample: number
  readonly seconds: number
  readonly bytes: number
  /** Matrices of the Newton steps that came and went and are not collected yet, and the helping thread. */
  readonly passing: number
}

/**
 * Unknowns of one Newton system, the smaller of P and N rank(Lambda), up to which the linear model is solved exactly.
 */
const MOST_UNKNOWNS = 5000
/** Seconds that are not worth waiting for without being asked. */
const MOST_SECONDS = 60
/** Multiplications a second of the matrix kernels on one core, with the copies around them. */
const SPEED = 1e10
/** Newton systems that are factored on the way to the prior precision; the rest are solved with a factor nearby. */
const SYSTEMS = 14
/** Products with the Jacobian or its Gram matrix on the way. */
const PRODUCTS = 400
/** Multiplications a second of those, which read a matrix once for every product. */
const PRODUCT_SPEED = 1.6e9
/** Fewer rows than this say too little of the whole. */
const FEWEST_ROWS = 100

/** Examples of several positions are several rows each, though not independent ones. */
function fewestRows({ network }: Evaluator): number {
  return Math.max(20, Math.ceil(FEWEST_ROWS / termsOf(network)))
}

/** The work and memory of the linear model on `rows` rows. */
function costOf(evaluator: Evaluator, { likelihood, memoryLimit }: ResolvedOptions,
  rows: number): Omit<LinearForecast, 'sample'> {
  const { slots, linears } = evaluator
  const rank = rankOfExample(evaluator, likelihood)
  const kept = mostRank(evaluator, likelihood, memoryLimit)
  const size = parameterCount(slots)
  const each = outputsOfExample(evaluator)
  const terms = termsOf(evaluator.network)
  const outputs = rows * each
  const unknowns = Math.min(size, rows * rank)
  const inWeights = size < rows * rank
  const plain = linears.every(({ positions }) => positions === 1)
  const factors = linears.reduce((sum, layer) => sum + layer.positions * (layer.in + each * layer.out), 0)
  const gram = inWeights
    ? rows * size * size / 2 * (plain ? 1 : rank)
    : linears.reduce((sum, { in: inputs, out, positions }) =>
      sum + (positions === 1
        ? rows * rows * inputs + outputs * outputs * out
        : outputs * outputs * inputs * out + outputs * positions * inputs * out), 0)
  const systems = SYSTEMS * unknowns ** 3 / 2
  const eigen = EIGEN_WORK * unknowns ** 3
  const covariances = (plain && inWeights ? unknowns ** 3 : 0)
    + (inWeights ? rows * size * size * (plain ? 0.5 : each) : outputs * unknowns ** 2 / 2)
  const factor = Math.min(unknowns, kept) * rows * (size + each * size / 10)
  // The positions of an example are left out together.
  const together = terms === 1 ? 0 : rows * each * each * (each + rank)
  const products = PRODUCTS * (inWeights ?
    2 * rows * factorsOf(linears, each) + size * size
    : 2 * outputs * outputs + unknowns ** 2)
  return {
    seconds: ((inWeights ? SYSTEMS + 1 : 1) * gram + systems + eigen + covariances + factor + together) / SPEED
      + (products + (terms === 1 ? 0 : PRODUCTS * rows * each * rank)) / PRODUCT_SPEED,
    // Of several positions an example's roots and covariances are matrices of all of them.
    bytes: 8 * (2 * rows * factors + (terms === 1 ? 0 : 2 * rows * each * (each + rank))
      + (inWeights ? 5 * size * size : 2 * outputs * outputs + 5 * unknowns ** 2)
      + 2 * Math.min(unknowns, kept) * size),
    passing: passingBytes(likelihood, unknowns, rows * size, inWeights),
  }
}

/** Bytes of matrices that are collected when so many have come together, measured. */
const PASSING_BYTES = 120 << 20
/** Matrices of that size that a fit makes. */
const PASSING_MATRICES = 20

/** A regression solves the network with shuffled weights as well, and for each output; measured. */
const SHUFFLED_TOO = 1.3

/** @param ofRows numbers of a matrix with a row of weights for every example */
function passingBytes(likelihood: Likelihood, unknowns: number, ofRows: number, inWeights: boolean): number {
  const matrix = 8 * unknowns ** 2
  const passing = (each: number): number =>
    OTHER_THREAD_BYTES + matrix + Math.min(PASSING_BYTES, PASSING_MATRICES * each)
  if (likelihood === 'regression') return SHUFFLED_TOO * passing(2 * Math.max(matrix, 8 * ofRows))
  return inWeights ? passing(Math.max(matrix, 2 * ofRows)) : OTHER_THREAD_BYTES
}

/** Outputs of one example, at all of its positions. */
function outputsOfExample({ network }: Evaluator): number {
  return network.outputs * termsOf(network)
}

/** Unknowns that one example adds to a Newton system; a regression has one for each output, apart. */
function rankOfExample({ network }: Evaluator, likelihood: Likelihood): number {
  const rank = likelihood === 'regression' ? 1 : likelihoodModel(likelihood).seedCount(network.outputs)
  return rank * termsOf(network)
}

/** A posterior's rank is rarely larger. */
const MOST_RANK = 1000

/** The rank that is kept: of a regression every output keeps what its rows say. */
function mostRank({ slots }: Evaluator, likelihood: Likelihood, memoryLimit: number): number {
  const most = likelihood === 'regression' ? Infinity : largestRank(parameterCount(slots), memoryLimit)
  return Math.min(MOST_RANK, most)
}

/** Multiplications of one product with a factored Jacobian, one example. */
function factorsOf(linears: Evaluator['linears'], outputs: number): number {
  return linears.reduce((sum, { in: inputs, out, positions }) => sum + positions * out * (inputs + outputs), 0)
}

/** The most rows that are affordable, and what they cost; undefined when too few are. */
export function forecastLinearModel(evaluator: Evaluator, options: ResolvedOptions, examples: number):
  | LinearForecast
  | undefined {
  const { likelihood, memoryLimit } = options
  const rank = rankOfExample(evaluator, likelihood)
  const size = parameterCount(evaluator.slots)
  let sample = size <= MOST_UNKNOWNS ? examples : Math.min(examples, Math.floor(MOST_UNKNOWNS / rank))
  while (sample >= Math.min(examples, fewestRows(evaluator))) {
    const cost = costOf(evaluator, options, sample)
    if (cost.seconds <= MOST_SECONDS && cost.bytes <= memoryLimit / 2) return { sample, ...cost }
    sample = Math.floor(sample * 0.7)
  }
  return undefined
}

/** What the whole fit costs: of the rows that are solved exactly, and of all rows after them. */
export function forecastWholeFit(evaluator: Evaluator, options: ResolvedOptions, examples: number,
  forecast: LinearForecast): Need {
  const { rows, allRows } = planLinearFit(evaluator, options, examples, forecast.sample)
  if (allRows === undefined) return forecast
  const exact = costOf(evaluator, options, rows)
  return { seconds: exact.seconds + allRows.seconds, bytes: exact.bytes + allRows.bytes }
}

/** What a fit of the linear model is told beside its rows. */
export interface LowRankRequest {
  readonly forecast: LinearForecast
  /** Rows that the network has not seen. */
  readonly heldOut: Batch | undefined
  readonly notes: readonly string[]
}

/** The state of the linear model's posterior. @throws ResourceError OUT_OF_MEMORY; NumericalError; CancelledError */
export async function fitLowRank(task: FitTask, linear: LinearTask, rows: TrainingRows,
  { forecast, heldOut, notes }: LowRankRequest, work: WorkOptions): Promise<PosteriorState> {
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

/** Whether the linear model is too large for the fewest rows that it is fitted to, and so for all that may come. */
export function alwaysTooLarge(evaluator: Evaluator, options: ResolvedOptions, examples: number): boolean {
  const fewest = fewestRows(evaluator)
  return examples >= fewest && forecastLinearModel(evaluator, options, fewest) === undefined
}

/** Why the linear model is left, or an error where it was demanded. */
export function tooLarge(evaluator: Evaluator, options: ResolvedOptions, examples: number): string {
  const least = Math.min(examples, fewestRows(evaluator))
  const { seconds, bytes } = costOf(evaluator, options, least)
  const needs = `already for ${least} rows about ${formatBytes(bytes)} and `
    + `${Math.ceil(seconds)} seconds`
  if (options.linearModel === 'required') {
    throw new ResourceError('OUT_OF_MEMORY',
      `The linear model over all weights would need ${needs}, more than is allowed. Use subset 'last_layer', or `
        + "structure 'kron' or 'diag'.", { needed: bytes, limit: options.memoryLimit })
  }
  return `The linear model over all weights would be too large: ${needs}.`
}
