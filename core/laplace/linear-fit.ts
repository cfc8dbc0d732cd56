/**
 * @file The fit of the linear model over all weights: prior, noise, leave-one-out scores and how the answer is mixed.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { LowRankCurvature, LowRankModel } from '../curvature/curvature.js'
import { jacobianTimes, splitVectors } from '../curvature/jacobian-products.js'
import { joinJacobians, selectExamples } from '../curvature/jacobian.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { modeOnAllRows, type RowProducts, scaledFactor } from '../linear-model/all-rows.js'
import { functionSpace } from '../linear-model/function-space.js'
import { leaveOneOut } from '../linear-model/leave-one-out.js'
import { type LinearProblem, linearProblem, type LinearSpace, problemSize } from '../linear-model/linear-problem.js'
import { tuneDelta } from '../linear-model/mackay.js'
import { type OutputModel, outputModel } from '../linear-model/regression-model.js'
import { weightSpace } from '../linear-model/weight-space.js'
import { batchSizeFor, forEachBatch, sliceExamples } from '../network/batches.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { Answer } from '../prediction/answer.js'
import { numbersPerExample } from '../programs/cost.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { linearMap } from '../programs/linear-map.js'
import { randomGenerator } from '../tensor/random.js'
import type { Tensor } from '../tensor/tensor.js'
import type { LeaveOneOutScore } from '../tuning/choice.js'
import { type Gate, gateOf } from '../tuning/gate.js'

/** Training rows as the network's input, with the labels as the likelihood takes them. */
export interface TrainingRows {
  readonly x: Tensor
  readonly labels: Float64Array
  readonly examples: number
}

/** What a fit of the linear model finds. */
export interface LinearFit {
  readonly curvature: LowRankCurvature
  readonly answer: Answer
  /** One an output where the likelihood has noise. */
  readonly sigmaNoise: Float64Array
  /** Loss of the network on all rows. */
  readonly loss: number
  readonly effectiveParameters: number
  readonly scores: readonly LeaveOneOutScore[]
  readonly networkNll: number
  readonly ratio: number | undefined
  /** Leave-one-out variances of the training rows, mean over the outputs, ascending. */
  readonly trainingVariances: Float64Array
  /** Rows that prior, noise and scores come from. */
  readonly rows: number
  /** Whether the mode is that of all rows. */
  readonly allRows: boolean
  readonly notes: readonly string[]
}

/** Eigenvalues of the curvature below this share of delta are left out of the posterior's factor. */
const THRESHOLD = 0.01

/** The rank of U, rank x P, that an eighth of the memory holds: a prediction has two copies of it. */
export function largestRank(parameters: number, memoryLimit: number): number {
  return Math.max(1, Math.floor(memoryLimit / 8 / (8 * parameters)))
}

/** Fits the linear model to (a seeded sample of) the rows. @throws NumericalError, CancelledError */
export async function fitLinearModel(evaluator: Evaluator, options: ResolvedOptions, rows: TrainingRows, sample: number,
  work: WorkOptions): Promise<LinearFit> {
  const likelihood = likelihoodModel(options.likelihood)
  const { f, jacobian } = await linearise(evaluator, rows, sampleOf(rows.examples, sample, options.seed), options, work)
  const { outputs } = evaluator.network
  const chosen = jacobian.rows
  const width = likelihood.targetWidth(outputs)
  const labels = takeRows(rows.labels, chosen, width)
  const loss = likelihood.loss(f, rows.labels, rows.examples, outputs)
  const deviation = deviationFrom(evaluator.theta, options.settings.priorMean)
  const problem = linearProblem(likelihood, evaluator.slots, jacobian.factored, takeRows(f, chosen, outputs), labels,
    deviation)
  const fit = likelihood.name === 'regression'
    ? regressionFit(problem, evaluator.theta, deviation, options, work)
    : await classificationFit(problem, evaluator.theta, deviation, options, work)
  const whole = { ...fit, loss, rows: chosen.length, allRows: chosen.length === rows.examples }
  return whole.allRows || likelihood.name === 'regression' || secondsOnAllRows(evaluator, rows.examples) > MOST_SECONDS
    ? whole
    : onAllRows(whole, evaluator, rows, f, deviation, options, work)
}

/** Seconds that the mode on all rows may take. */
const MOST_SECONDS = 300
/** Products with J and J' on the way to it. */
const PRODUCTS = 40
/** Multiplications a second of a network's programs on one core. */
const SPEED = 4e9

function secondsOnAllRows(evaluator: Evaluator, examples: number): number {
  // Forward and with tangents, or forward, backward and the products with the inputs.
  const perExample = 2.5 *
    evaluator.linears.reduce((sum, { positions, in: inputs, out }) => sum + positions * inputs * out, 0)
  return PRODUCTS * examples * perExample / SPEED
}

/**
 * The sample's posterior moved to the mode of all rows, with its eigenvalues as many times as large as there are more
 * rows; prior, scores and how the answer is mixed stay those of the sample.
 */
async function onAllRows(fit: LinearFit, evaluator: Evaluator, { x, labels, examples }: TrainingRows, f: Float64Array,
  deviation: Float64Array, { likelihood: name, batchSize }: ResolvedOptions, work: WorkOptions): Promise<LinearFit> {
  const { network, slots, theta, precision, engine } = evaluator
  const { outputs } = network
  const [model] = fit.curvature.models
  const map = linearMap(network, slots, engine, precision)
  const size = batchSize ?? batchSizeFor(numbersPerExample(evaluator, 1))
  const quiet = work.signal === undefined ? {} : { signal: work.signal }
  const products: RowProducts = {
    times: async v => {
      const image = new Float64Array(examples * outputs)
      await forEachBatch(examples, size, 'tune', quiet, async (from, to) => {
        image.set(await map.times(v, sliceExamples(x, network.input, from, to)), from * outputs)
      })
      return image
    },
    transposedTimes: async u => {
      const sum = new Float64Array(theta.length)
      await forEachBatch(examples, size, 'tune', quiet, async (from, to) => {
        await map.transposedTimes(u.subarray(from * outputs, to * outputs), sliceExamples(x, network.input, from, to),
          sum)
      })
      return sum
    },
  }
  try {
    const moved = await products.times(deviation)
    const factor = scaledFactor(model, examples / fit.rows)
    const start = model.weights.map((value, i) => value - theta[i] + deviation[i])
    const mode = await modeOnAllRows({ likelihood: likelihoodModel(name), labels, examples, outputs },
      f.map((value, i) => value - moved[i]), products, model.delta, start, factor, work)
    let logDetRatio = 0
    let effectiveParameters = 0
    for (let k = 0; k < factor.rank; k++) {
      const share = factor.rows.subarray(k * theta.length, (k + 1) * theta.length).reduce((sum, u) => sum + u * u, 0)
      logDetRatio -= Math.log1p(-Math.min(share, 1 - 1e-15))
      effectiveParameters += share
    }
    const squaredNorm = mode.w.reduce((sum, value) => sum + value * value, 0)
    const evidence = -mode.loss - 0.5 * (logDetRatio + model.delta * squaredNorm)
    const whole: LowRankModel = { ...model, ...factor, weights: modeWeights(mode.w, theta, deviation), logDetRatio,
      effectiveParameters, evidence }
    return { ...fit, curvature: { ...fit.curvature, models: [whole] }, effectiveParameters, allRows: true }
  } finally {
    map.dispose()
  }
}

function deviationFrom(theta: Float64Array, priorMean: number | Float64Array | undefined): Float64Array {
  if (priorMean === undefined) return theta
  return theta.map((value, i) => value - (typeof priorMean === 'number' ? priorMean : priorMean[i]))
}

/** All rows, or a seeded sample of them, in order. */
function sampleOf(examples: number, sample: number, seed: number): Int32Array {
  const all = Int32Array.from({ length: examples }, (_, i) => i)
  if (sample >= examples) return all
  const random = randomGenerator(seed)
  for (let i = 0; i < sample; i++) {
    const j = i + Math.floor(random.uniform() * (examples - i))
    const kept = all[i]
    all[i] = all[j]
    all[j] = kept
  }
  return all.subarray(0, sample).sort()
}

function takeRows(values: Float64Array, rows: Int32Array, width: number): Float64Array {
  const result = new Float64Array(rows.length * width)
  rows.forEach((row, i) => {
    result.set(values.subarray(row * width, (row + 1) * width), i * width)
  })
  return result
}

interface Linearised {
  /** Outputs of all rows, N x C. */
  readonly f: Float64Array
  /** The Jacobian of the chosen rows. */
  readonly jacobian: { readonly factored: FactoredJacobian, readonly rows: Int32Array }
}

/** Outputs of every row, and the factored Jacobian of the chosen ones. */
async function linearise(evaluator: Evaluator, { x, examples }: TrainingRows, chosen: Int32Array,
  { batchSize }: ResolvedOptions, work: WorkOptions): Promise<Linearised> {
  const { network } = evaluator
  const { outputs } = network
  const f = new Float64Array(examples * outputs)
  const parts: FactoredJacobian[] = []
  const size = batchSize ?? batchSizeFor(numbersPerExample(evaluator, outputs))
  let at = 0
  await forEachBatch(examples, size, 'fit', work, async (from, to) => {
    const first = at
    while (at < chosen.length && chosen[at] < to) at++
    const batch = sliceExamples(x, network.input, from, to)
    if (at === first) {
      f.set(await evaluator.forward(batch), from * outputs)
      return
    }
    const result = await evaluator.jacobian(batch)
    f.set(result.f, from * outputs)
    const own = chosen.subarray(first, at).map(row => row - from)
    parts.push(own.length === to - from ? result.jacobian : selectExamples(result.jacobian, own))
  })
  return { f, jacobian: { factored: joinJacobians(parts), rows: chosen } }
}

type Fit = Omit<LinearFit, 'loss' | 'rows' | 'allRows'>

async function classificationFit(problem: LinearProblem, theta: Float64Array, deviation: Float64Array,
  options: ResolvedOptions, work: WorkOptions): Promise<Fit> {
  const { outputs, examples, likelihood } = problem
  const inner = examples * likelihood.seedCount(outputs)
  const space = problemSize(problem) < inner ? weightSpace(problem, work) : functionSpace(problem, work)
  const tuned = await tuneOrTake(space, options, work)
  const covariances = space.covariances()
  const leftOut = leaveOneOut(problem, tuned.mode.f, covariances)
  const gate = gateOf(problem, problem.f, leftOut)
  throwIfCancelled(work.signal)
  const { rank, rows } = space.factor(THRESHOLD, largestRank(theta.length, options.memoryLimit))
  const weights = modeWeights(space.weights(), theta, deviation)
  const logDetRatio = space.logDetRatio()
  const evidence = -tuned.mode.loss - 0.5 * (logDetRatio + tuned.delta * tuned.mode.squaredNorm)
  const model: LowRankModel = {
    outputs: Array.from({ length: outputs }, (_, c) => c),
    delta: tuned.delta,
    sigma: 1,
    weights,
    rank,
    rows,
    logDetRatio,
    effectiveParameters: tuned.effectiveParameters,
    evidence,
  }
  return {
    curvature: { structure: 'lowrank', size: theta.length, models: [model] },
    answer: answerOf(gate),
    sigmaNoise: Float64Array.of(1),
    effectiveParameters: tuned.effectiveParameters,
    scores: gate.leaveOneOutNll,
    networkNll: gate.networkNll,
    ratio: gate.ratio,
    trainingVariances: sortedMeans(leftOut.covariance, examples, outputs),
    notes: tuned.converged
      ? []
      : ['The search for the prior precision of the linear model stopped before it converged.'],
  }
}

/** delta as it was given, or MacKay's fixed point. */
async function tuneOrTake(space: LinearSpace, { settings }: ResolvedOptions,
  work: WorkOptions): ReturnType<typeof tuneDelta> {
  const { priorPrecision } = settings
  if (priorPrecision === undefined) return tuneDelta(space, work)
  const delta = typeof priorPrecision === 'number' ? priorPrecision : priorPrecision[0]
  const mode = await space.mode(delta)
  return { delta, mode, effectiveParameters: space.effectiveParameters(), converged: true }
}

/** mu + (w - mu), where theta - mu is the deviation. */
function modeWeights(change: Float64Array, theta: Float64Array, deviation: Float64Array): Float64Array {
  return change.map((value, i) => value + theta[i] - deviation[i])
}

function answerOf({ link, varianceScale, networkWeight, linearWeight }: Gate): Answer {
  return { link, varianceScale, networkWeight, linearWeight }
}

/** The mean over the outputs of each row's variances, ascending. */
function sortedMeans(covariance: Float64Array, examples: number, outputs: number): Float64Array {
  const means = new Float64Array(examples)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) means[n] += covariance[(n * outputs + c) * outputs + c] / outputs
  }
  return means.sort()
}

/**
 * Half of the answer's mean is the network's, half the linear model's (no rule that depends on the rows did better).
 */
const REGRESSION_ANSWER: Answer = { link: 'map', varianceScale: 1, networkWeight: 0.5, linearWeight: 0.5 }

function regressionFit(problem: LinearProblem, theta: Float64Array, deviation: Float64Array,
  { settings }: ResolvedOptions, work: WorkOptions): Fit {
  const { outputs, examples } = problem
  const given = settings.sigmaNoise
  const models = Array.from({ length: outputs }, (_, c) => outputModel(problem, c, THRESHOLD, work, given))
  const means = new Float64Array(examples)
  models.forEach(({ leftOut, sigma }) => {
    for (let n = 0; n < examples; n++) means[n] += leftOut.variance[n] / (sigma * sigma) / outputs
  })
  return {
    curvature: { structure: 'lowrank', size: theta.length,
      models: models.map((model, c) => asLowRank(model, c, outputs, theta, deviation)) },
    answer: REGRESSION_ANSWER,
    sigmaNoise: Float64Array.from(models, ({ sigma }) => sigma),
    effectiveParameters: models.reduce((sum, { effectiveParameters }) => sum + effectiveParameters, 0),
    scores: [{ scale: 1, nll: leaveOneOutGaussianNll(problem, models) }],
    networkNll: gaussianNllOf(problem, models),
    ratio: undefined,
    trainingVariances: means.sort(),
    notes: models.flatMap(({ floored }, c) =>
      floored
        ? [
          `The network fits ${
            outputs === 1 ? 'the targets' : `output ${c}`
          } of its training rows exactly, so that they do not `
          + "determine the noise; it was held at a thousandth of the targets' standard deviation. Give sigmaNoise, or held-out rows.",
        ]
        : []
    ),
  }
}

function asLowRank({ delta, sigma, weights, rank, rows, effectiveParameters, evidence }: OutputModel, c: number,
  outputs: number, theta: Float64Array, deviation: Float64Array): LowRankModel {
  const size = theta.length
  let logDetRatio = 0
  for (let k = 0; k < rank; k++) {
    let share = 0
    for (let i = k * size; i < (k + 1) * size; i++) share += rows[i] * rows[i]
    logDetRatio -= Math.log1p(-Math.min(share, 1 - 1e-15))
  }
  return { outputs: outputs === 1 ? [0] : [c], delta, sigma, weights: modeWeights(weights, theta, deviation), rank,
    rows, logDetRatio, effectiveParameters, evidence }
}

/** Mean of -log N(y; f_-n, variance_-n + sigma^2) over rows and outputs. */
function leaveOneOutGaussianNll({ labels, examples, outputs }: LinearProblem, models: readonly OutputModel[]): number {
  let sum = 0
  models.forEach(({ leftOut, sigma }, c) => {
    for (let n = 0; n < examples; n++) {
      sum += gaussian(labels[n * outputs + c] - leftOut.f[n], leftOut.variance[n] + sigma * sigma)
    }
  })
  return sum / (examples * outputs)
}

/** The network alone on its training rows, with the tuned noise. */
function gaussianNllOf({ labels, f, outputs }: LinearProblem, models: readonly OutputModel[]): number {
  let sum = 0
  for (let i = 0; i < f.length; i++) sum += gaussian(labels[i] - f[i], models[i % outputs].sigma ** 2)
  return sum / f.length
}

function gaussian(residual: number, variance: number): number {
  return 0.5 * (Math.log(2 * Math.PI * variance) + residual * residual / variance)
}

/** f_lin on the rows of a Jacobian for weights w. */
export function linearOutputs(jacobian: FactoredJacobian, slots: LinearProblem['slots'], f: Float64Array,
  change: Float64Array): Float64Array {
  const moved = jacobianTimes(jacobian, splitVectors(slots, change, 1))
  return f.map((value, i) => value + moved[i])
}
