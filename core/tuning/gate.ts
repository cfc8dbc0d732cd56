/**
 * @file How much of the answer the linear model gets, from the training rows alone. Its leave-one-out score predicts
 * its score on new rows; the network's own score on rows it has seen does not. r = (NLL of the network on its rows) /
 * (leave-one-out NLL of the linear model): far below 1 the network has learnt its rows by heart, above 1 it fits rows
 * it has seen worse than the linear model predicts rows it has not: there p_linear answers alone. Else the answer has
 * three parts: p_network, p_linear, and p_halfway of the outputs (f + f_lin)/2, which changes little where the network
 * is sure and much where it is not. e is the share of rows left out that the linear model names wrongly. With two
 * classes p_halfway and p_linear get q = min(1/3, (5 e)^2) each: a third, but for tables that are so easy that a sure
 * network is right. With more, p_halfway takes its variance times e and gets e^2, p_linear e^3, p_network the rest but
 * for r^2 of it, which p_halfway gets too: where r is near 1 the network is no better on rows it has seen than the
 * linear model on rows it has not.
 */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { LeftOut } from '../linear-model/leave-one-out.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import { accuracy } from '../metrics/accuracy.js'
import { bernoulliDecisions, categoricalDecisions } from '../metrics/decisions.js'
import type { Link } from '../options/words.js'
import { differenceLink, scaledProbabilities } from '../prediction/mixture.js'

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
  /** Of the network on its training rows. */
  readonly networkNll: number
  /** r. */
  readonly ratio: number
  /** e, the share of rows left out (or labels) that are named wrongly. */
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

/**
 * s, r and the weights from the leave-one-out predictions of the linear model over all weights.
 * @param f the network's outputs on the same rows, N x C
 */
export function gateOf(rows: LabelledRows, f: Float64Array, leftOut: LeftOut): Gate {
  const { likelihood, labels, examples, outputs } = rows
  const link = differenceLink(likelihood, outputs)
  const probabilities = (scale: number): Float64Array =>
    scaledProbabilities(link, likelihood, { f: leftOut.f, variance: leftOut.covariance, examples, outputs }, scale)
  const leaveOneOutNll = VARIANCE_SCALES.map(scale => ({ scale,
    nll: meanNll(likelihood, probabilities(scale), labels, outputs) })
  )
  const [without] = leaveOneOutNll
  const best = leaveOneOutNll.reduce((least, score) => (score.nll < least.nll ? score : least))
  const manyClasses = hasMoreClasses(likelihood, outputs)
  const chosen = manyClasses && best.nll > SHARE_TO_EARN * without.nll ? without : best
  const networkNll = meanNll(likelihood, likelihood.inverseLink(f, examples, outputs), labels, outputs)
  const ratio = ratioOf(networkNll, chosen.nll)
  const p = probabilities(chosen.scale)
  const errorRate = 1 - accuracy(
    likelihood.name === 'classification' ? categoricalDecisions(p, labels, outputs) : bernoulliDecisions(p, labels),
  )
  const shares = ratio > 1
    ? { networkWeight: 0, linearWeight: 1 }
    : manyClasses
    ? sharesOfMore(ratio, errorRate)
    : sharesOfTwo(errorRate)
  return { link, varianceScale: chosen.scale, leaveOneOutNll, networkNll, ratio, errorRate, ...shares }
}

/** What each part of an answer gets, and the factor of the variance halfway. */
type Shares = Pick<Gate, 'networkWeight' | 'linearWeight' | 'halfwayWeight' | 'halfwayScale'>

/** The most that halfway and linear model get with two classes, and how many times e makes it that much. */
const MOST_OF_TWO = 1 / 3
const STEEPNESS = 5
const MOST_HALFWAY_SCALE = 0.5

function sharesOfTwo(errorRate: number): Shares {
  const doubt = Math.min(MOST_OF_TWO, (STEEPNESS * errorRate) ** 2)
  return { networkWeight: 1 - 2 * doubt, halfwayWeight: doubt, linearWeight: doubt,
    halfwayScale: Math.min(MOST_HALFWAY_SCALE, 4 * doubt) }
}

function sharesOfMore(ratio: number, errorRate: number): Shares {
  const linearWeight = errorRate ** 3
  const networkWeight = Math.max(0, 1 - errorRate ** 2 - linearWeight) * (1 - ratio ** 2)
  return { networkWeight, halfwayWeight: 1 - networkWeight - linearWeight, linearWeight, halfwayScale: errorRate }
}

/**
 * Beyond this ratio the linear model answers alone, where the network's own NLL is more than this share of that of
 * knowing nothing: one that is sure of its training rows does not underfit, whatever features that have seen them say.
 */
const UNDERFITTED = 1.5
const UNSURE = 0.3
/**
 * s with two classes, and with more; the share of 1 - r that the linear model gets where e is not known; and the factor
 * of e where it is. Measured, not derived: features that have seen the rows make the leave-one-out NLL of a last layer
 * too small, and r with it too large.
 */
const TWO_CLASSES = { varianceScale: 1, share: 1, steepness: STEEPNESS }
const MORE_CLASSES = { varianceScale: 0.25, share: 0.25, steepness: 1 }

/** s and the share of a last layer's linear model. */
export function lastLayerRule(likelihood: LikelihoodModel, outputs: number): typeof TWO_CLASSES {
  return hasMoreClasses(likelihood, outputs) ? MORE_CLASSES : TWO_CLASSES
}

/** r; where every row is predicted for sure a score of 0 counts as the least that can be told from it. */
function ratioOf(networkNll: number, leftOutNll: number): number {
  return networkNll / Math.max(SMALLEST_PROBABILITY, leftOutNll)
}

function hasMoreClasses(likelihood: LikelihoodModel, outputs: number): boolean {
  return likelihood.name === 'classification' && outputs > 2
}

/**
 * The gate of a last layer's linear model, whose leave-one-out score is too good because its features have seen the
 * rows: p = (1 - w) p_network + w link(f_lin, s S), w = min(1 - r, (5 e)^2) with two classes and min(1 - r, e^2) with
 * more; where e is not known 1 - r and (1 - r)/4; the linear model alone where r is far above 1 and the network unsure,
 * 0 where r is only above 1.
 * @param f the network's outputs on the same rows, N x C
 * @param p the linear model's probabilities of every row from all the others, with the variance times s
 * @param errorRate e of features that have not seen the rows
 */
export function lastLayerGate(rows: LabelledRows, f: Float64Array, p: Float64Array, errorRate?: number): Gate {
  const { likelihood, labels, examples, outputs } = rows
  const { varianceScale, share, steepness } = lastLayerRule(likelihood, outputs)
  const nll = meanNll(likelihood, p, labels, outputs)
  const networkNll = meanNll(likelihood, likelihood.inverseLink(f, examples, outputs), labels, outputs)
  const ratio = ratioOf(networkNll, nll)
  const choices = likelihood.name === 'classification' ? outputs : 2
  const underfitted = ratio > UNDERFITTED && networkNll > UNSURE * Math.log(choices)
  const surer = Math.max(0, 1 - ratio)
  const open = errorRate === undefined ? share * surer : Math.min(surer, (steepness * errorRate) ** 2)
  const linearWeight = underfitted ? 1 : open
  return { link: differenceLink(likelihood, outputs), varianceScale, leaveOneOutNll: [{ scale: varianceScale, nll }],
    networkNll, ratio, networkWeight: 1 - linearWeight, linearWeight,
    ...(errorRate === undefined ? {} : { errorRate }) }
}
