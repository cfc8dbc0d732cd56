/**
 * @file The fit of the linear model over all weights: prior, noise, leave-one-out scores and how the answer is mixed.
 */
import { breathe, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { LeftOutScores } from '../conformal/calibration.js'
import type { LowRankCurvature, LowRankModel } from '../curvature/curvature.js'
import { jacobianTimes, splitVectors } from '../curvature/jacobian-products.js'
import { joinJacobians, selectExamples, termJacobian } from '../curvature/jacobian.js'
import { NumericalError } from '../errors/errors.js'
import { addAgreement, zeroAgreement } from '../likelihood/agreement.js'
import { atPositions } from '../likelihood/at-positions.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { termsOf } from '../likelihood/output-layout.js'
import { labelledExamples, labelledTerms } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { functionSpace } from '../linear-model/function-space.js'
import { leaveOneOut, sortedMeanVariances } from '../linear-model/leave-one-out.js'
import { type LinearProblem, linearProblem, type LinearSpace, type OtherRows, outputsAtPrior,
  problemSize } from '../linear-model/linear-problem.js'
import { tuneDelta, type TunedMode } from '../linear-model/mackay.js'
import { type OutputFamily, outputFamily, type OutputModel } from '../linear-model/regression-model.js'
import { type TermRows, termRows } from '../linear-model/term-rows.js'
import { shuffledParameters, untrainedErrors } from '../linear-model/untrained.js'
import { weightSpace } from '../linear-model/weight-space.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import type { Inputs } from '../network/input-rows.js'
import { withParameters } from '../network/parameters.js'
import type { ResolvedOptions } from '../options/laplace-options.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { Answer } from '../prediction/answer.js'
import { mixture } from '../prediction/mixture.js'
import { batchWithin } from '../programs/cost.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { geometricMean } from '../tensor/means.js'
import { sampledRows, takeRows } from '../tensor/rows.js'
import type { LeaveOneOutScore } from '../tuning/choice.js'
import { errorScale, excess, inUnitsOfExcess } from '../tuning/error-scale.js'
import { type Gain, isGain } from '../tuning/gain.js'
import { type Gate, gateOf } from '../tuning/gate.js'
import { leftOutProbabilities } from '../tuning/left-out-probabilities.js'
import { classScores, targetScores, type TrainingRecord, type TrainingScores } from '../tuning/training-scores.js'
import { chooseNoise, type NoisePrior, type ValidatedNoise } from '../tuning/validated-noise.js'
import { candidatesAt, chooseFound, DELTA_STEPS, foundOrNot, type HeldOutOutputs, steppedDelta,
  type ValidatedCandidate } from '../tuning/validated.js'
import { type AllRowsFit, type AllRowsPlan, onAllRows, planAllRows, THRESHOLD } from './all-rows-fit.js'
import { type RegressionFit, regressionOnAllRows } from './all-rows-regression.js'

/** Training rows as the network's inputs, with the labels as the likelihood takes them. */
export interface TrainingRows {
  readonly x: Inputs
  readonly labels: Float64Array
  readonly examples: number
}

/** What a fit of the linear model finds. */
export interface LinearFit {
  readonly curvature: LowRankCurvature
  readonly answer: Answer
  /** Of the best answer that held-out rows allow over the one of the training rows alone. */
  readonly gain: Gain | undefined
  /** One an output where the likelihood has noise. */
  readonly sigmaNoise: Float64Array
  /** How many times larger than by the evidence the standard deviations are, one an output; regression. */
  readonly errorScale?: readonly number[]
  /** What a posterior without a variance of its own needs as its noise, one an output; regression. */
  readonly leftOutNoise?: Float64Array
  /** Loss of the network on all rows. */
  readonly loss: number
  readonly effectiveParameters: number
  readonly scores: readonly LeaveOneOutScore[]
  readonly networkNll: number
  readonly ratio: number | undefined
  /** Leave-one-out variances of the training rows, mean over the outputs, ascending. */
  readonly trainingVariances: Float64Array
  /** Scores of the rows predicted without themselves. */
  readonly leftOut: LeftOutScores | undefined
  /** The network with all rows, the posterior with those that prior, noise and scores come from. */
  readonly training: TrainingRecord
  /** Rows that prior, noise and scores come from. */
  readonly rows: number
  /** Whether mode, prior and covariance are those of all rows. */
  readonly allRows: boolean
  /** Whether the scores are of the model of all rows, from which each of `rows` was left out. */
  readonly scoresOfAllRows?: boolean
  readonly notes: readonly string[]
}

/** The rank of U, rank x P, that an eighth of the memory holds: a prediction has two copies of it. */
export function largestRank(parameters: number, memoryLimit: number): number {
  return Math.max(1, Math.floor(memoryLimit / 8 / (8 * parameters)))
}

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
  const { outputs } = evaluator.network
  const terms = termsOf(evaluator.network)
  const chosen = jacobian.rows
  const labels = takeRows(rows.labels, chosen, terms * likelihood.targetWidth(outputs))
  const all = termRows(likelihood, terms, outputs, rows.labels, rows.examples)
  const loss = likelihood.loss(all.values(f), all.rows.labels, all.rows.examples, outputs)
  const deviation = deviationFrom(evaluator.theta, options.settings.priorMean)
  const problem = linearProblem(atPositions(likelihood, terms, labels), evaluator.slots, jacobian.factored,
    takeRows(f, chosen, terms * outputs), labels, deviation)
  const held = heldOut === undefined ? undefined : await linearisedHeldOut(evaluator, heldOut, deviation, options, work)
  const pieces = { problem, likelihood, terms, theta: evaluator.theta, deviation, held }
  const { posterior, ...fit } = likelihood.name === 'regression'
    ? regressionFit(termByTerm(pieces), options,
      await errorsBeforeTraining(evaluator, rows, labels, chosen, options, work), work)
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
    const whole = await regressionOnAllRows(plan, { evaluator, pool, options, problem, models, all: rows, f }, work)
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

/** The part of the effective parameters that the leading eigenpairs must have for a row to be left out of them. */
const RELIABLE_SHARE = 0.9
/** The smallest part of a row's variance that the other rows leave. */
const SMALLEST_REST = 1e-3
/** Rows of a regression that its curvature comes from four times at least. */
const FEWEST_REGRESSION = 500

/**
 * The sample's fit with the model of all rows. The sample's rows are left out of that model where its eigenpairs have
 * nearly all that the data determine; else of their own, and a row's novelty is judged by the variance that it gets.
 * @param settled whether held-out rows have chosen the answer
 */
function withAllRows(fit: LinearFit, problem: LinearProblem,
  { model, f, covariance, share, converged, atMode }: AllRowsFit, settled: boolean): LinearFit {
  const { likelihood, labels, examples, outputs } = problem
  const leftOut = leaveOneOut(problem, f, covariance)
  const reliable = share > RELIABLE_SHARE
  const gate = reliable && !settled ? gateOf(problem, problem.f, leftOut) : undefined
  const answer = gate === undefined ? fit.answer : answerOf(gate)
  const { probabilities } = mixture(likelihood, answer, { f: problem.f, linear: f, covariance, kind: 'covariance',
    examples, outputs })
  return {
    ...fit,
    ...(gate === undefined
      ? {}
      : { ...scoredBy(gate), leftOut: leftOutProbabilities(problem, leftOut, answer) }),
    curvature: { ...fit.curvature, models: [model] },
    answer,
    training: { ...fit.training, posterior: classScores(likelihood, probabilities, labels, outputs) },
    effectiveParameters: model.effectiveParameters,
    trainingVariances: sortedMeanVariances(reliable ? leftOut.covariance : covariance, examples, outputs),
    allRows: true,
    scoresOfAllRows: gate !== undefined,
    notes: [...notesOf(converged), ...notesOfMode(atMode)],
  }
}

/**
 * The sample's fit with the models of all rows; prior, noise, scores and answer stay the sample's. Novelty is judged
 * by leave-one-out variances where the eigenpairs have nearly all that the data determine.
 */
function withRegressionOnAllRows(fit: LinearFit, problem: LinearProblem,
  { models, f, variance, share, atMode }: RegressionFit): LinearFit {
  const { examples, outputs, labels } = problem
  const { networkWeight, linearWeight } = fit.answer
  const means = new Float64Array(examples)
  const total = variance.map((value, i) => {
    const noise = models[i % outputs].sigma ** 2
    const leverage = value / noise
    means[Math.floor(i / outputs)] += leverage / outputs /
      (share > RELIABLE_SHARE ? Math.max(SMALLEST_REST, 1 - leverage) : 1)
    return value + noise
  })
  const mean = problem.f.map((value, i) => networkWeight * value + linearWeight * f[i])
  return {
    ...fit,
    curvature: { ...fit.curvature, models },
    training: { ...fit.training, posterior: targetScores(mean, total, labels) },
    effectiveParameters: models.reduce((sum, { effectiveParameters }) => sum + effectiveParameters, 0),
    trainingVariances: means.sort(),
    allRows: true,
    scoresOfAllRows: false,
    notes: [...fit.notes, ...notesOfMode(atMode)],
  }
}

/** What the rows that were left out say. */
function scoredBy(
  { leaveOneOutNll: scores, networkNll, ratio }: Gate,
): Pick<LinearFit, 'scores' | 'networkNll' | 'ratio'> {
  return { scores, networkNll, ratio }
}

/** Where the rows are too many for the mode to be found in time. */
function notesOfMode(atMode: boolean): string[] {
  return atMode ? [] : ['The mode of the linear model on all rows was approached as far as the time allows, not found: '
    + 'its predictions may still move a little with more steps.']
}

function notesOf(converged: boolean): string[] {
  return converged ? [] : ['The search for the prior precision of the linear model stopped before it converged.']
}

/**
 * y - f_-n of the chosen rows by the linear model of the network with shuffled weights, N x C; undefined where the
 * noise is given, and where such a network has no finite features.
 */
async function errorsBeforeTraining(evaluator: Evaluator, rows: TrainingRows, labels: Float64Array, chosen: Int32Array,
  options: ResolvedOptions, work: WorkOptions): Promise<Float64Array | undefined> {
  if (options.outputNoise !== undefined || options.settings.sigmaNoise !== undefined) return undefined
  const { network, slots, theta, engine, precision } = evaluator
  const graph = withParameters(network.graph, slots, shuffledParameters(theta, slots, options.seed, network.outputs))
  const untrained = createEvaluator({ ...network, graph }, 'all', engine, precision)
  const quiet = work.signal === undefined ? {} : { signal: work.signal }
  try {
    const { jacobian } = await linearise(untrained, rows, chosen, options, quiet)
    const own = termsAlone(jacobian.factored, labels, termsOf(network), network.outputs)
    return untrainedErrors(slots, own.jacobian, own.labels, quiet, own.sizes)
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  } finally {
    untrained.dispose()
  }
}

function deviationFrom(theta: Float64Array, priorMean: number | Float64Array | undefined): Float64Array {
  if (priorMean === undefined) return theta
  return theta.map((value, i) => value - (typeof priorMean === 'number' ? priorMean : priorMean[i]))
}

interface Linearised {
  /** Outputs of all rows, N x C. */
  readonly f: Float64Array
  /** The Jacobian of the chosen rows. */
  readonly jacobian: { readonly factored: FactoredJacobian, readonly rows: Int32Array }
}

/** Outputs of every row, and the factored Jacobian of the chosen ones. */
async function linearise(evaluator: Evaluator, { x, examples }: TrainingRows, chosen: Int32Array,
  options: ResolvedOptions, work: WorkOptions): Promise<Linearised> {
  const { network } = evaluator
  const outputs = network.outputs * termsOf(network)
  const f = new Float64Array(examples * outputs)
  const parts: FactoredJacobian[] = []
  const size = batchWithin(evaluator, outputs, 'sums', options, examples)
  let at = 0
  await forEachBatch(examples, size, 'fit', work, async (from, to) => {
    const first = at
    while (at < chosen.length && chosen[at] < to) at++
    const batch = sliceExamples(x, network.inputs, from, to)
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

/** The posterior's scores on its own rows come along, as what they need is at hand only here. */
type Fit = Omit<LinearFit, 'loss' | 'training' | 'rows' | 'allRows'> & { readonly posterior: TrainingScores }

/** Held-out rows, term by term, with the Jacobian of their examples. */
interface HeldOut extends HeldOutOutputs, OtherRows {
  readonly there: TermRows
  /** The labels of all terms. */
  readonly all: Float64Array
}

async function linearisedHeldOut(evaluator: Evaluator, rows: TrainingRows, deviation: Float64Array,
  options: ResolvedOptions, work: WorkOptions): Promise<HeldOut> {
  const { f, jacobian } = await linearise(evaluator, rows, sampledRows(rows.examples, rows.examples, 0), options, work)
  const likelihood = likelihoodModel(options.likelihood)
  const terms = termsOf(evaluator.network)
  const there = termRows(likelihood, terms, evaluator.network.outputs, rows.labels, rows.examples)
  return { ...there.rows, f: there.values(f), there, jacobian: jacobian.factored, all: rows.labels,
    f0: outputsAtPrior(evaluator.slots, jacobian.factored, f, deviation) }
}

/** Every term of some examples as an example of its own, those without a label left out. */
function termsAlone(jacobian: FactoredJacobian, labels: Float64Array, terms: number,
  outputs: number): { jacobian: FactoredJacobian, labels: Float64Array, sizes: Int32Array | undefined } {
  if (terms === 1) return { jacobian, labels, sizes: undefined }
  const alone = termJacobian(jacobian, terms)
  const kept = labelledTerms(labels, outputs)
  const there = labelledExamples(labels, outputs, terms)
  return { jacobian: kept === undefined ? alone : selectExamples(alone, kept), ...there }
}

/** A regression's problem term by term: each output of a term has a model of its own. */
function termByTerm(pieces: WholeProblem): WholeProblem {
  const { problem, likelihood, terms, held } = pieces
  if (terms === 1) return pieces
  const outputs = problem.outputs / terms
  const own = termsAlone(problem.jacobian, problem.labels, terms, outputs)
  const { values } = termRows(likelihood, terms, outputs, problem.labels, problem.examples)
  const other = held === undefined ? undefined : termsAlone(held.jacobian, held.all, terms, outputs)
  return {
    ...pieces,
    problem: { ...problem, likelihood, outputs, examples: own.jacobian.examples, labels: own.labels,
      jacobian: own.jacobian, f: values(problem.f), f0: values(problem.f0), sizes: own.sizes },
    held: held === undefined || other === undefined
      ? undefined
      : { ...held, jacobian: other.jacobian, f0: held.there.values(held.f0) },
  }
}

/** The linear model with what it was made of. */
interface WholeProblem {
  readonly problem: LinearProblem
  /** The likelihood of one term, and how many of them an example has. */
  readonly likelihood: LikelihoodModel
  readonly terms: number
  readonly theta: Float64Array
  readonly deviation: Float64Array
  readonly held: HeldOut | undefined
}

/** The candidates of every prior precision; the one whose mode is not found is left out. */
async function validate(space: LinearSpace, held: HeldOut, delta: number, gate: Gate,
  work: WorkOptions): Promise<ValidatedCandidate[]> {
  const candidates: ValidatedCandidate[] = []
  for (const step of DELTA_STEPS) {
    await breathe()
    throwIfCancelled(work.signal)
    const found = await foundOrNot(async () => {
      await space.mode(steppedDelta(delta, step))
      return space.elsewhere(held)
    })
    if (found === undefined) continue
    const { f, covariance } = held.there.leftOut(found)
    candidates.push(...candidatesAt(held, step, f, covariance, gate))
  }
  return candidates
}

async function classificationFit({ problem, likelihood, terms, theta, deviation, held }: WholeProblem,
  options: ResolvedOptions, work: WorkOptions): Promise<Fit> {
  const outputs = problem.outputs / terms
  // An example is left out whole: its positions share their inputs, and new data come as examples.
  const { rows: own, values, covariances: blocks, leftOut: left } = termRows(likelihood, terms, outputs, problem.labels,
    problem.examples)
  const space = spaceOf(problem, work)
  const first = await tuneOrTake(space, problem, terms, options, work)
  const atFirst = space.covariances()
  const byRows = leaveOneOut(problem, first.mode.f, atFirst)
  const gate = gateOf(own, values(problem.f), left(byRows))
  throwIfCancelled(work.signal)
  const { chosen, found: { tuned, covariances, leftOut } } = held === undefined
    ? { chosen: undefined, found: { tuned: first, covariances: atFirst, leftOut: byRows } }
    : await chooseFound(held, await validate(space, held, first.delta, gate, work), gate, work, async step => {
      const stepped = await modeAt(space, steppedDelta(first.delta, step), first.converged)
      const covariances = space.covariances()
      return { tuned: stepped, covariances, leftOut: leaveOneOut(problem, stepped.mode.f, covariances) }
    })
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
  const answer = answerOf(chosen ?? gate)
  const { probabilities } = mixture(likelihood, answer, { f: values(problem.f), linear: values(tuned.mode.f),
    covariance: blocks(covariances), kind: 'covariance', examples: own.examples, outputs })
  return {
    curvature: { structure: 'lowrank', size: theta.length, models: [model] },
    answer,
    gain: chosen?.gain,
    posterior: classScores(likelihood, probabilities, own.labels, outputs),
    sigmaNoise: Float64Array.of(1),
    effectiveParameters: tuned.effectiveParameters,
    ...scoredBy(gate),
    trainingVariances: sortedMeanVariances(left(leftOut).covariance, own.examples, outputs),
    leftOut: leftOutProbabilities(own, left(leftOut), answer),
    notes: notesOf(tuned.converged),
  }
}

/** Unknowns of a Newton system: the smaller of P and N rank(Lambda). */
function unknownsOf(problem: LinearProblem): number {
  return Math.min(problemSize(problem), problem.examples * problem.likelihood.seedCount(problem.outputs))
}

function spaceOf(problem: LinearProblem, work: WorkOptions): LinearSpace {
  return problemSize(problem) === unknownsOf(problem) ? weightSpace(problem, work) : functionSpace(problem, work)
}

/** Unknowns from which on the fixed point of a quarter of the rows is worth knowing before. */
const MANY_UNKNOWNS = 1000
const SHARE_BEFORE = 4

/**
 * About the prior precision: that of every fourth row, whose system costs a sixty-fourth. Not for examples of several
 * terms, whose likelihood is that of these examples.
 */
async function precisionNearby(problem: LinearProblem, terms: number, work: WorkOptions): Promise<number> {
  const { slots, f, f0, labels, jacobian, likelihood, outputs } = problem
  const unknowns = unknownsOf(problem)
  if (unknowns < MANY_UNKNOWNS || terms > 1) return 1
  const rows = Int32Array.from({ length: Math.ceil(problem.examples / SHARE_BEFORE) }, (_, i) => i * SHARE_BEFORE)
  const few: LinearProblem = { ...problem, slots, examples: rows.length, f: takeRows(f, rows, outputs),
    f0: takeRows(f0, rows, outputs), labels: takeRows(labels, rows, likelihood.targetWidth(outputs)),
    jacobian: selectExamples(jacobian, rows) }
  // Where there are few weights the system of fewer rows is as large.
  if (2 * unknownsOf(few) > unknowns) return 1
  const { delta, converged } = await tuneDelta(spaceOf(few, work), work)
  return converged ? delta : 1
}

/** delta as it was given, or MacKay's fixed point. */
async function tuneOrTake(space: LinearSpace, problem: LinearProblem, terms: number, { settings }: ResolvedOptions,
  work: WorkOptions): ReturnType<typeof tuneDelta> {
  const { priorPrecision } = settings
  if (priorPrecision === undefined) return tuneDelta(space, work, await precisionNearby(problem, terms, work))
  const delta = typeof priorPrecision === 'number' ? priorPrecision : priorPrecision[0]
  return modeAt(space, delta, true)
}

async function modeAt(space: LinearSpace, delta: number, converged: boolean): Promise<TunedMode> {
  const mode = await space.mode(delta)
  return { delta, mode, effectiveParameters: space.effectiveParameters(), converged }
}

/** mu + (w - mu), where theta - mu is the deviation. */
function modeWeights(change: Float64Array, theta: Float64Array, deviation: Float64Array): Float64Array {
  return change.map((value, i) => value + theta[i] - deviation[i])
}

function answerOf({ link, varianceScale, networkWeight, linearWeight, networkTemperature }: Answer): Answer {
  return { link, varianceScale, networkWeight, linearWeight,
    ...(networkTemperature === undefined ? {} : { networkTemperature }) }
}

/** The mean of an answer: half the network's, half the linear model's. */
const HALVES: Answer = { link: 'map', varianceScale: 1, networkWeight: 0.5, linearWeight: 0.5 }
const LINEAR_ALONE: Answer = { ...HALVES, networkWeight: 0, linearWeight: 1 }

function regressionFit({ problem, theta, deviation, held }: WholeProblem, { settings, outputNoise }: ResolvedOptions,
  untrained: Float64Array | undefined, work: WorkOptions): Fit {
  const { outputs, examples } = problem
  const given = outputNoise?.[0] ?? settings.sigmaNoise
  const families = Array.from({ length: outputs },
    (_, c) => outputFamily(problem, c, work, outputNoise?.[c] ?? settings.sigmaNoise))
  const scales = families.map((family, c) => scaleOf(problem, family, c, untrained))
  const tuned = families.map(({ tuned }, c) => scaled(tuned, scales[c]))
  const byTraining = families.map((family, c) => family.modelAt(tuned[c], THRESHOLD))
  const ratio = errorRatio(problem, byTraining)
  const own = ratio > 1 ? LINEAR_ALONE : HALVES
  const chosen = held === undefined
    ? undefined
    : validatedNoise(families, { outputs: tuned, linearWeight: own.linearWeight }, held, given)
  const models = chosen === undefined || !isGain(chosen.gain)
    ? byTraining
    : families.map((family, c) => family.modelAt(chosen.outputs[c], THRESHOLD))
  const answer = chosen === undefined
    ? own
    : { ...own, networkWeight: 1 - chosen.linearWeight, linearWeight: chosen.linearWeight }
  const means = new Float64Array(examples)
  models.forEach(({ leftOut, sigma }) => {
    for (let n = 0; n < examples; n++) means[n] += leftOut.variance[n] / (sigma * sigma) / outputs
  })
  return {
    curvature: { structure: 'lowrank', size: theta.length,
      models: models.map((model, c) => asLowRank(model, c, outputs, theta, deviation)) },
    answer,
    gain: chosen?.gain,
    posterior: regressionScores(problem, models, answer),
    sigmaNoise: Float64Array.from(models, ({ sigma }) => sigma),
    errorScale: scales,
    leftOutNoise: Float64Array.from(models, (model, c) => leftOutNoise(problem, model, c, scales[c])),
    effectiveParameters: models.reduce((sum, { effectiveParameters }) => sum + effectiveParameters, 0),
    scores: [{ scale: 1, nll: leaveOneOutGaussianNll(problem, models) }],
    networkNll: gaussianNllOf(problem, models),
    ratio,
    trainingVariances: means.sort(),
    leftOut: { kind: 'residuals', scores: models.map((model, c) => {
      const scores = leftOutScores(problem, model, c)
      return untrained === undefined || chosen !== undefined ? scores : inUnitsOfExcess(scores)
    }) },
    notes: families.flatMap(({ tuned: { floored } }, c) => (floored ? [floorNote(outputs, c)] : [])),
  }
}

function floorNote(outputs: number, c: number): string {
  return `The training rows do not tell noise from weights${outputs === 1 ? '' : ` in output ${c}`}: the network can ` +
    'fit each of them without noise. The noise is held at a share of the leave-one-out errors; what it lacks is in ' +
    'the variance of the weights, so that the intervals have their size. Give sigmaNoise, or held-out rows.'
}

/** How many times larger the errors on new rows are than the evidence says; 1 where the noise is given. */
function scaleOf(problem: LinearProblem, { tuned, leftOutAt }: OutputFamily, c: number,
  untrained: Float64Array | undefined): number {
  if (untrained === undefined) return 1
  const { labels, outputs } = problem
  const { f, variance } = leftOutAt(tuned)
  const sd = variance.map(value => Math.sqrt(value + tuned.sigma ** 2))
  return errorScale(f.map((mean, n) => Math.abs(labels[n * outputs + c] - mean) / sd[n]),
    sd.map((value, n) => Math.abs(untrained[n * outputs + c]) / value))
}

/** All standard deviations times a factor: the mean, which depends on delta sigma^2, stays. */
function scaled({ delta, sigma }: NoisePrior, factor: number): NoisePrior {
  return { delta: delta / factor ** 2, sigma: sigma * factor }
}

/**
 * r: the network's error on rows that it has seen over the linear model's on rows that it has not, root mean squares,
 * geometric mean over the outputs. Above 1 the network underfits, and the linear model answers alone.
 */
function errorRatio({ labels, f, outputs, examples }: LinearProblem, models: readonly OutputModel[]): number {
  return geometricMean(models.map(({ leftOut }, c) => {
    let [seen, unseen] = [0, 0]
    for (let n = 0; n < examples; n++) {
      seen += (labels[n * outputs + c] - f[n * outputs + c]) ** 2
      unseen += (labels[n * outputs + c] - leftOut.f[n]) ** 2
    }
    return unseen > 0 ? Math.sqrt(seen / unseen) : 1
  }))
}

/** |y - f_-n| / sqrt(variance_-n + sigma^2) of one output, rising: the scores of the jackknife. */
function leftOutScores({ labels, outputs }: LinearProblem, { leftOut, sigma }: OutputModel, c: number): Float64Array {
  return leftOut.f.map((mean, n) =>
    Math.abs(labels[n * outputs + c] - mean) / Math.sqrt(leftOut.variance[n] + sigma * sigma)
  ).sort()
}

/** The posterior's own predictions of its rows. */
function regressionScores({ labels, f, outputs }: LinearProblem, models: readonly OutputModel[],
  { networkWeight, linearWeight }: Answer): TrainingScores {
  const mean = f.map((value, i) =>
    networkWeight * value + linearWeight * models[i % outputs].f[Math.floor(i / outputs)]
  )
  const variance = f.map((_, i) => {
    const { variance: own, sigma } = models[i % outputs]
    return own[Math.floor(i / outputs)] + sigma * sigma
  })
  return targetScores(mean, variance, labels)
}

/** Prior, noise and mean by held-out rows. */
function validatedNoise(families: readonly OutputFamily[], byTraining: Omit<ValidatedNoise, 'gain'>, held: HeldOut,
  given: number | undefined): ValidatedNoise {
  const elsewhere = families.map(family => family.elsewhere(held))
  return chooseNoise(held, byTraining, (c, hyper) => elsewhere[c](hyper), given === undefined ? 'both' : 'prior')
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

/**
 * The noise of one output for a posterior that has hardly a variance of its own: the 90 % quantile of |y - f_-n| over
 * that of the normal distribution, corrected as the posterior's own standard deviations are; at least sigma.
 */
function leftOutNoise({ labels, outputs }: LinearProblem, { leftOut, sigma }: OutputModel, c: number,
  scale: number): number {
  const errors = leftOut.f.map((mean, n) => Math.abs(labels[n * outputs + c] - mean))
  const own = excess(errors.map((error, n) => error / Math.sqrt(leftOut.variance[n] + sigma * sigma) * scale))
  const noise = excess(errors) * (own > 0 ? scale / own : 1)
  return Number.isFinite(noise) ? Math.max(sigma, noise) : sigma
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
