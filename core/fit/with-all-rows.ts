/** @file The fit to a sample of the rows, with the model of all of them. */
import { leaveOneOut, sortedMeanVariances } from '../linear-model/leave-one-out.js'
import type { LinearProblem } from '../linear-model/linear-problem.js'
import { mixture } from '../prediction/mixture.js'
import { gateOf } from '../tuning/gate.js'
import { leftOutProbabilities } from '../tuning/left-out-probabilities.js'
import { classScores, targetScores } from '../tuning/training-scores.js'
import type { AllRowsFit } from './all-rows-fit.js'
import type { RegressionFit } from './all-rows-regression.js'
import { answerOf, type LinearFit, notesOfMode, notesOfSearch, scoredBy } from './linear-fit-result.js'

/** The part of the effective parameters that the leading eigenpairs must have for a row to be left out of them. */
const RELIABLE_SHARE = 0.9
/** The smallest part of a row's variance that the other rows leave. */
const SMALLEST_REST = 1e-3

/**
 * The sample's fit with the model of all rows. The sample's rows are left out of that model where its eigenpairs have
 * nearly all that the data determine; else of their own, and a row's novelty is judged by the variance that it gets.
 * @param settled whether held-out rows have chosen the answer
 */
export function withAllRows(fit: LinearFit, problem: LinearProblem,
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
    notes: [...notesOfSearch(converged), ...notesOfMode(atMode)],
  }
}

/**
 * The sample's fit with the models of all rows; prior, noise, scores and answer stay the sample's. Novelty is judged
 * by leave-one-out variances where the eigenpairs have nearly all that the data determine.
 */
export function withRegressionOnAllRows(fit: LinearFit, problem: LinearProblem,
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
    training: { ...fit.training, posterior: targetScores(mean, total, labels, outputs) },
    effectiveParameters: models.reduce((sum, { effectiveParameters }) => sum + effectiveParameters, 0),
    trainingVariances: means.sort(),
    allRows: true,
    scoresOfAllRows: false,
    notes: [...fit.notes, ...notesOfMode(atMode)],
  }
}
