/**
 * @file How much of the answer the linear model gets, from the training rows alone. Its leave-one-out score predicts
 * its score on new rows; the network's own score on rows it has seen does not. r = (NLL of the network on its rows) /
 * (leave-one-out NLL of the linear model): far below 1 the network has learnt its rows by heart, above 1 it fits rows
 * it has seen worse than the linear model predicts rows it has not: there p_linear answers alone. Else the answer has
 * three parts: p_network, p_linear, and p_halfway of the outputs (f + f_lin)/2, which changes little where the network
 * is sure and much where it is not. x is the mean probability of wrong classes in rows left out (`doubt.ts`). With two
 * classes p_halfway and p_linear get q = min(1/3, (9 x)^4) each: a third, but for tables that are so easy that a sure
 * network is right. With more, where the linear model is further from the network, p_halfway gets
 * q = min(1/2, (4.75 x)^4) and p_linear q x. Halfway min(1/2, 4 q) of the variance counts.
 */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { LeftOut } from '../linear-model/leave-one-out.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import type { Link } from '../options/words.js'
import { differenceLink, scaledProbabilities } from '../prediction/mixture.js'
import { doubtOf, hasMoreClasses } from './doubt.js'

/** Factors of the variance in the link that are compared. */
const VARIANCE_SCALES = [0, 0.25, 0.5, 1] as const
/** With more than two classes the variance must lower the leave-one-out NLL by a tenth before it counts. */
const SHARE_TO_EARN = 0.9
/** Probabilities below this count as this in a score. */
const SMALLEST_PROBABILITY = 1e-12

/** What the training rows say of network and linear model. NLL: mean over rows (and labels) in nats. */
export interface Gate {
  readonly link: Link
  /** s, the factor of the variance in the link. */
  readonly varianceScale: number
  readonly leaveOneOutNll: readonly { readonly scale: number, readonly nll: number }[]
  /** Of these the one that the network is compared with. */
  readonly leftOutNll: number
  /** Of the network on its training rows. */
  readonly networkNll: number
  /** r. */
  readonly ratio: number
  /** x, the mean probability of wrong classes in rows left out; of all weights. */
  readonly doubt?: number | undefined
  /** e, the share of rows left out that features of shuffled weights name wrongly; of a last layer. */
  readonly errorRate?: number | undefined
  readonly networkWeight: number
  readonly linearWeight: number
  /** As in an answer. */
  readonly halfwayWeight?: number | undefined
  readonly halfwayScale?: number | undefined
}

/** Mean negative log-likelihood of probabilities: over rows, and for binary and multilabel over labels. */
export function meanNll(likelihood: LikelihoodModel, p: Float64Array, labels: Float64Array, outputs: number): number {
  let sum = 0
  if (likelihood.name === 'classification') {
    for (let n = 0; n < labels.length; n++) sum -= Math.log(Math.max(SMALLEST_PROBABILITY, p[n * outputs + labels[n]]))
  } else {
    for (let i = 0; i < labels.length; i++) {
      sum -= Math.log(Math.max(SMALLEST_PROBABILITY, labels[i] === 1 ? p[i] : 1 - p[i]))
    }
  }
  return sum / labels.length
}

/** Scores of network and linear model on the same rows. */
type Scores = Pick<Gate, 'varianceScale' | 'leaveOneOutNll' | 'leftOutNll' | 'networkNll' | 'ratio'>

/** @param f the network's outputs, N x C @param probabilities of the linear model for every row from all the others */
function scoresOf(rows: LabelledRows, f: Float64Array, probabilities: (scale: number) => Float64Array): Scores {
  const { likelihood, labels, examples, outputs } = rows
  const leaveOneOutNll = VARIANCE_SCALES.map(scale => ({ scale,
    nll: meanNll(likelihood, probabilities(scale), labels, outputs) })
  )
  const [without] = leaveOneOutNll
  const best = leaveOneOutNll.reduce((least, score) => (score.nll < least.nll ? score : least))
  const chosen = hasMoreClasses(rows) && best.nll > SHARE_TO_EARN * without.nll ? without : best
  const networkNll = meanNll(likelihood, likelihood.inverseLink(f, examples, outputs), labels, outputs)
  return { varianceScale: chosen.scale, leaveOneOutNll, leftOutNll: chosen.nll, networkNll,
    ratio: networkNll / Math.max(SMALLEST_PROBABILITY, chosen.nll) }
}

/**
 * s, r and the weights from the leave-one-out predictions of the linear model over all weights.
 * @param f the network's outputs on the same rows, N x C
 */
export function gateOf(rows: LabelledRows, f: Float64Array, leftOut: LeftOut): Gate {
  const { likelihood, examples, outputs } = rows
  const link = differenceLink(likelihood, outputs)
  const probabilities = (scale: number): Float64Array =>
    scaledProbabilities(link, likelihood, { f: leftOut.f, variance: leftOut.covariance, examples, outputs }, scale)
  const scores = scoresOf(rows, f, probabilities)
  const doubt = doubtOf(rows, f, leftOut.f)
  const shares = scores.ratio > 1 ? LINEAR_ALONE : sharesOf(rows, doubt)
  return { link, ...scores, doubt, ...shares }
}

/** What each part of an answer gets, and the factor of the variance halfway. */
type Shares = Pick<Gate, 'networkWeight' | 'linearWeight' | 'halfwayWeight' | 'halfwayScale'>

const LINEAR_ALONE: Shares = { networkWeight: 0, linearWeight: 1 }

/** The most that halfway and linear model get each with two classes, and halfway with more. */
const MOST = 1 / 3
const MOST_OF_MORE = 1 / 2
/** How many times x has its fourth power taken. */
const STEEPNESS = 9
const STEEPNESS_OF_MORE = 4.75
const MOST_HALFWAY_SCALE = 0.5

function sharesOf(rows: LabelledRows, doubt: number): Shares {
  const more = hasMoreClasses(rows)
  const halfwayWeight = more
    ? Math.min(MOST_OF_MORE, (STEEPNESS_OF_MORE * doubt) ** 4)
    : Math.min(MOST, (STEEPNESS * doubt) ** 4)
  const linearWeight = more ? halfwayWeight * doubt : halfwayWeight
  return { networkWeight: 1 - halfwayWeight - linearWeight, halfwayWeight, linearWeight,
    halfwayScale: Math.min(MOST_HALFWAY_SCALE, 4 * halfwayWeight) }
}

/**
 * Beyond this ratio a last layer's linear model answers alone, where the network's own NLL is more than this share of
 * that of knowing nothing: one that is sure of its training rows does not underfit, whatever features that have seen
 * them say.
 */
const UNDERFITTED = 1.5
const UNSURE = 0.3
/**
 * s of a last layer whose features have learnt the rows: its variance is that of its own weights, and says nothing of
 * those before it. Measured, not derived.
 */
const LEARNT_FEATURES = 3
/** How many times e is squared for a last layer. */
const STEEPNESS_OF_LAST_LAYER = 5
/** The same with more than two classes. */
const STEEPNESS_OF_MORE_AND_LAST_LAYER = 1.2

/**
 * The gate of a last layer's linear model, whose leave-one-out score is too good because its features have seen the
 * rows. Halfway and linear model get q = min(1/3, (5 e)^2) each with two classes, min(1/3, (1.2 e)^2) with more,
 * with the variance times three. Where the network underfits the linear model answers alone, with s by its scores.
 * @param f the network's outputs on the same rows, N x C
 * @param probabilities of the linear model for every row from all the others, with the variance times a scale
 * @param errorRate e of features that have not seen the rows
 */
export function lastLayerGate(rows: LabelledRows, f: Float64Array, probabilities: (scale: number) => Float64Array,
  errorRate?: number): Gate {
  const { likelihood, outputs } = rows
  const scores = scoresOf(rows, f, probabilities)
  const { ratio, networkNll } = scores
  const choices = likelihood.name === 'classification' ? outputs : 2
  const underfitted = ratio > UNDERFITTED && networkNll > UNSURE * Math.log(choices)
  const shares = underfitted
    ? LINEAR_ALONE
    : errorRate === undefined
    ? sharesWithoutErrorRate(rows, ratio)
    : sharesOfLastLayer(rows, errorRate)
  return { link: differenceLink(likelihood, outputs), ...scores, ...shares,
    ...(errorRate === undefined ? {} : { errorRate }) }
}

function sharesOfLastLayer(rows: LabelledRows, errorRate: number): Shares & Pick<Gate, 'varianceScale'> {
  const steepness = hasMoreClasses(rows) ? STEEPNESS_OF_MORE_AND_LAST_LAYER : STEEPNESS_OF_LAST_LAYER
  const share = Math.min(MOST, (steepness * errorRate) ** 2)
  return { networkWeight: 1 - 2 * share, halfwayWeight: share, linearWeight: share, halfwayScale: LEARNT_FEATURES,
    varianceScale: LEARNT_FEATURES }
}

/** Of several positions, of rows that were not kept, and where no weight stands before the last layer. */
function sharesWithoutErrorRate(rows: LabelledRows, ratio: number): Shares & Pick<Gate, 'varianceScale'> {
  const most = hasMoreClasses(rows) ? 1 / 4 : 1
  const linearWeight = most * Math.max(0, 1 - ratio)
  return { networkWeight: 1 - linearWeight, linearWeight, varianceScale: most }
}
