/** @file What a fit of the linear model over all weights takes and finds. */
import type { LeftOutScores } from '../conformal/calibration.js'
import type { LowRankCurvature } from '../curvature/curvature.js'
import type { Inputs } from '../network/input-rows.js'
import type { Answer } from '../prediction/answer.js'
import type { LeaveOneOutScore } from '../tuning/choice.js'
import type { Gain } from '../tuning/gain.js'
import type { Gate } from '../tuning/gate.js'
import type { TrainingRecord, TrainingScores } from '../tuning/training-scores.js'

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
  /** The mean probability of wrong classes in rows left out; where the weights hang on it. */
  readonly doubt?: number | undefined
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

/** The fit to the sample alone: the posterior's scores on its own rows come along, as only it has what they need. */
export type SampleFit = Omit<LinearFit, 'loss' | 'training' | 'rows' | 'allRows'> & {
  readonly posterior: TrainingScores
}

/** The answer alone of what was chosen with its scores. */
export function answerOf(
  { link, varianceScale, networkWeight, linearWeight, halfwayWeight, halfwayScale, networkTemperature }: Answer,
): Answer {
  return { link, varianceScale, networkWeight, linearWeight,
    ...(halfwayWeight === undefined ? {} : { halfwayWeight, halfwayScale }),
    ...(networkTemperature === undefined ? {} : { networkTemperature }) }
}

/** What the rows that were left out say. */
export function scoredBy(
  { leaveOneOutNll: scores, networkNll, ratio, doubt }: Gate,
): Pick<LinearFit, 'scores' | 'networkNll' | 'ratio' | 'doubt'> {
  return { scores, networkNll, ratio, doubt }
}

/** What is told of a search that ended early. */
export function notesOfSearch(converged: boolean): string[] {
  return converged ? [] : ['The search for the prior precision of the linear model stopped before it converged.']
}

/** Where the rows are too many for the mode to be found in time. */
export function notesOfMode(atMode: boolean): string[] {
  return atMode ? [] : ['The mode of the linear model on all rows was approached as far as the time allows, not found: '
    + 'its predictions may still move a little with more steps.']
}

/** mu + (w - mu), where theta - mu is the deviation. */
export function modeWeights(change: Float64Array, theta: Float64Array, deviation: Float64Array): Float64Array {
  return change.map((value, i) => value + theta[i] - deviation[i])
}

/** The rank of U, rank x P, that an eighth of the memory holds: a prediction has two copies of it. */
export function largestRank(parameters: number, memoryLimit: number): number {
  return Math.max(1, Math.floor(memoryLimit / 8 / (8 * parameters)))
}
