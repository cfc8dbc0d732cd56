/**
 * @file How much of the answer the linear model gets, from the training rows alone. Its leave-one-out score predicts its score on new rows; the
 * network's own score on rows it has seen does not. r = (NLL of the network on its rows) / (leave-one-out NLL of the linear model):
 * far below 1 the network has learnt its rows by heart, above 1 it fits rows it has seen worse than the linear model predicts
 * rows it has not. p = (1 + r)/2 p_network + (1 - r)/2 p_linear, and p_linear alone where r > 1.
 */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import type { LeftOut } from '../linear-model/leave-one-out.js'
import type { LinearProblem } from '../linear-model/linear-problem.js'
import type { Link } from '../options/words.js'
import { predictiveProbabilities, variancesOf } from '../prediction/link.js'

/** Factors of the variance in the link that are compared. */
export const VARIANCE_SCALES = [0, 0.25, 0.5, 1] as const
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
  readonly networkWeight: number
  readonly linearWeight: number
}

/** The link that does not count what the likelihood ignores. */
export function differenceLink(likelihood: LikelihoodModel, outputs: number): Link {
  if (likelihood.name !== 'classification') return 'probit'
  return outputs === 2 ? 'pairwise' : 'zero_sum'
}

/** Probabilities of a link with the covariances (N x C x C) multiplied by `scale`. */
export function scaledProbabilities(link: Link, likelihood: LikelihoodModel, f: Float64Array, covariance: Float64Array,
  scale: number, examples: number, outputs: number): Float64Array {
  if (scale === 0) return likelihood.inverseLink(f, examples, outputs)
  const needs = likelihood.name === 'classification' ? covariance : variancesOf(covariance, examples, outputs)
  const scaled = scale === 1 ? needs : needs.map(value => scale * value)
  return predictiveProbabilities(link, likelihood, f, scaled, examples, outputs, 0, 0)
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

/** s, r and the weights from the leave-one-out predictions of the linear model. */
export function gateOf(problem: LinearProblem, leftOut: LeftOut): Gate {
  const { likelihood, labels, examples, outputs, f } = problem
  const link = differenceLink(likelihood, outputs)
  const leaveOneOutNll = VARIANCE_SCALES.map(scale => {
    const p = scaledProbabilities(link, likelihood, leftOut.f, leftOut.covariance, scale, examples, outputs)
    return { scale, nll: meanNll(likelihood, p, labels, outputs) }
  })
  const [without] = leaveOneOutNll
  const best = leaveOneOutNll.reduce((least, score) => (score.nll < least.nll ? score : least))
  const manyClasses = likelihood.name === 'classification' && outputs > 2
  const chosen = manyClasses && best.nll > SHARE_TO_EARN * without.nll ? without : best
  const networkNll = meanNll(likelihood, likelihood.inverseLink(f, examples, outputs), labels, outputs)
  const ratio = networkNll / chosen.nll
  const linearWeight = ratio > 1 ? 1 : (1 - ratio) / 2
  return { link, varianceScale: chosen.scale, leaveOneOutNll, networkNll, ratio, networkWeight: 1 - linearWeight,
    linearWeight }
}
