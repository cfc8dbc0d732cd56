/** @file The linear model of a classifier: its prior, what the rows left out say of it, and how the answer is mixed. */
import { breathe, shareReporter, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { LowRankModel } from '../curvature/curvature.js'
import { selectExamples } from '../curvature/jacobian.js'
import { watched } from '../kernels/interruption.js'
import { functionSpace } from '../linear-model/function-space.js'
import { leaveOneOut, sortedMeanVariances } from '../linear-model/leave-one-out.js'
import { type LinearProblem, type LinearSpace, problemSize } from '../linear-model/linear-problem.js'
import { tuneDelta, type TunedMode } from '../linear-model/mackay.js'
import { termRows } from '../linear-model/term-rows.js'
import { weightSpace } from '../linear-model/weight-space.js'
import { onePrecision } from '../options/hyperparameters.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { mixture } from '../prediction/mixture.js'
import { takeRows } from '../tensor/rows.js'
import { type Gate, gateOf } from '../tuning/gate.js'
import { leftOutProbabilities } from '../tuning/left-out-probabilities.js'
import { classScores } from '../tuning/training-scores.js'
import { candidatesAt, chooseFound, DELTA_STEPS, foundOrNot, steppedDelta,
  type ValidatedCandidate } from '../tuning/validated.js'
import { THRESHOLD } from './all-rows-fit.js'
import { answerOf, largestRank, modeWeights, notesOfSearch, type SampleFit, scoredBy } from './linear-fit-result.js'
import type { HeldOut, WholeProblem } from './linearise.js'

/** The fit where terms are probabilities: prior by MacKay's fixed point, link and weights by the rows left out. */
export async function classificationFit({ problem, likelihood, terms, theta, deviation, held }: WholeProblem,
  options: ResolvedOptions, work: WorkOptions): Promise<SampleFit> {
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
  const { rank, rows } = watched(shareReporter(work, 'tune', SEARCHED, 100),
    () => space.factor(THRESHOLD, largestRank(theta.length, options.memoryLimit)))
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
    notes: notesOfSearch(tuned.converged),
  }
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

/** Percentages of the work that are done when a precision nearby is known, and when the search is over (measured). */
const NEARBY = 5
const SEARCHED = 50

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
  const { delta, converged } = await tuneDelta(spaceOf(few, work), work, 1, shareReporter(work, 'tune', 0, NEARBY))
  return converged ? delta : 1
}

/** delta as it was given, or MacKay's fixed point. */
async function tuneOrTake(space: LinearSpace, problem: LinearProblem, terms: number, { settings }: ResolvedOptions,
  work: WorkOptions): ReturnType<typeof tuneDelta> {
  const { priorPrecision } = settings
  if (priorPrecision === undefined) {
    const nearby = await precisionNearby(problem, terms, work)
    return tuneDelta(space, work, nearby, shareReporter(work, 'tune', nearby === 1 ? 0 : NEARBY, SEARCHED))
  }
  return modeAt(space, onePrecision(priorPrecision), true)
}

async function modeAt(space: LinearSpace, delta: number, converged: boolean): Promise<TunedMode> {
  const mode = await space.mode(delta)
  return { delta, mode, effectiveParameters: space.effectiveParameters(), converged }
}
