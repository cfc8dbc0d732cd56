/**
 * @file The joint choice by held-out rows: prior precision, link, s and the weights of network and linear model
 * together. Fifty rows say little, so that every part is shrunk towards what the training rows alone say: the prior
 * precision by a normal prior of its logarithm, the weight w of the linear model by a beta distribution that counts as
 * one row. A candidate's score is its likelihood averaged over w, and w is its mean under that likelihood.
 */
import { NumericalError } from '../errors/errors.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import type { Link } from '../options/words.js'
import type { Answer } from '../prediction/answer.js'
import { differenceLink, scaledProbabilities } from '../prediction/mixture.js'

/** Steps k of the prior precision delta 4^k; 0 is what the training rows say. */
export const DELTA_STEPS: readonly number[] = [-3, -2, -1, 0, 1, 2, 3]

/** Nats that a step of the prior precision costs, times k^2. */
const STEP_COST = 0.5
/** Nats that a change of s by 1 costs. */
const SCALE_COST = 2
/** Rows that the default's weight counts as. */
const PRIOR_ROWS = 1
const WEIGHTS = Float64Array.from({ length: 21 }, (_, i) => i / 20)
const SMALLEST = 1e-12

/** Held-out rows with the network's outputs, N x C. */
export interface HeldOutOutputs extends LabelledRows {
  readonly f: Float64Array
}

/** One way to answer, without its weight. */
export interface ValidatedCandidate {
  readonly step: number
  readonly link: Link
  readonly varianceScale: number
  /** Probabilities of what came true, one a label. */
  readonly truth: Float64Array
}

/** The candidate that held-out rows choose, with its weight. */
export interface ValidatedChoice extends Answer {
  readonly step: number
}

/** delta of a step. */
export function steppedDelta(delta: number, step: number): number {
  return delta * 4 ** step
}

/** The probabilities of the labels that came true, one a label. */
export function truthOf({ likelihood, labels, outputs }: LabelledRows, p: Float64Array): Float64Array {
  return likelihood.name === 'classification'
    ? labels.map((label, n) => p[n * outputs + label])
    : labels.map((label, i) => (label === 1 ? p[i] : 1 - p[i]))
}

/**
 * The candidates of one prior precision.
 * @param linear f_lin of the held-out rows, N x C
 * @param covariance N x C x C
 * @param own the default's link
 */
export function candidatesAt(rows: HeldOutOutputs, step: number, linear: Float64Array, covariance: Float64Array,
  own: Link): ValidatedCandidate[] {
  const { likelihood, examples, outputs } = rows
  return linksOf(rows, own).map(([link, varianceScale]) => {
    const p = scaledProbabilities(link, likelihood, linear, covariance, varianceScale, examples, outputs)
    return { step, link, varianceScale, truth: truthOf(rows, p) }
  })
}

/**
 * Links with factors of the variance: the link that ignores the common shift, and the default's own. With two classes
 * all links agree.
 */
function linksOf({ likelihood, outputs }: LabelledRows, own: Link): readonly (readonly [Link, number])[] {
  const link = differenceLink(likelihood, outputs)
  const plain = [0, 0.25, 0.5, 1].map(scale => [link, scale] as const)
  if (own === link) return plain
  return [...plain, ...[0.25, 0.5, 1].map(scale => [own, scale] as const)]
}

/**
 * The best candidate and its weight.
 * @param byTraining what the training rows alone say
 */
export function chooseValidated(rows: HeldOutOutputs, candidates: readonly ValidatedCandidate[],
  byTraining: Answer): ValidatedChoice {
  const { likelihood, examples, outputs, f } = rows
  const network = truthOf(rows, likelihood.inverseLink(f, examples, outputs))
  const logPrior = WEIGHTS.map(weight => weightPrior(weight, byTraining.linearWeight))
  let best: { readonly candidate: ValidatedCandidate, readonly score: number, readonly weight: number } | undefined
  for (const candidate of candidates) {
    const { logMean, mean } = averageOver(
      WEIGHTS.map((weight, i) => logPrior[i] + logLikelihood(network, candidate.truth, weight)),
    )
    const score = logMean - STEP_COST * candidate.step ** 2
      - SCALE_COST * Math.abs(candidate.varianceScale - byTraining.varianceScale)
    if (best === undefined || score > best.score) best = { candidate, score, weight: mean }
  }
  const { step, link, varianceScale } = best?.candidate ?? { ...byTraining, step: 0 }
  const linearWeight = best?.weight ?? byTraining.linearWeight
  return { step, link, varianceScale, networkWeight: 1 - linearWeight, linearWeight }
}

/**
 * What `find` gives; undefined where the numbers allow nothing: a mode that is not found, a row without which nothing
 * is determined.
 */
export async function foundOrNot<T>(find: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await find()
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  }
}

/**
 * The best choice for whose prior precision `find` succeeds; step 0 must.
 * @throws NumericalError when even that fails
 */
export async function chooseFound<T>(rows: HeldOutOutputs, candidates: readonly ValidatedCandidate[],
  byTraining: Answer,
  find: (step: number) => T | Promise<T>): Promise<{ readonly chosen: ValidatedChoice, readonly found: T }> {
  let left = candidates
  for (;;) {
    const chosen = chooseValidated(rows, left, byTraining)
    const found = chosen.step === 0 ? await find(0) : await foundOrNot(() => find(chosen.step))
    if (found !== undefined) return { chosen, found }
    left = left.filter(({ step }) => step !== chosen.step)
  }
}

/** log of Beta(w; 1 + b w0, 1 + b (1 - w0)) up to a constant, with b rows; finite at both ends. */
function weightPrior(weight: number, defaultWeight: number): number {
  const log = (value: number): number => Math.log(Math.max(value, 1e-3))
  return PRIOR_ROWS * (defaultWeight * log(weight) + (1 - defaultWeight) * log(1 - weight))
}

function logLikelihood(network: Float64Array, linear: Float64Array, weight: number): number {
  let sum = 0
  for (let i = 0; i < network.length; i++) {
    sum += Math.log(Math.max(SMALLEST, (1 - weight) * network[i] + weight * linear[i]))
  }
  return sum
}

/** log of the mean of exp(scores), and the mean of the weights under exp(scores). */
function averageOver(scores: Float64Array): { logMean: number, mean: number } {
  const largest = scores.reduce((most, value) => Math.max(most, value), -Infinity)
  let [total, weighted] = [0, 0]
  scores.forEach((score, i) => {
    const share = Math.exp(score - largest)
    total += share
    weighted += share * WEIGHTS[i]
  })
  return { logMean: largest + Math.log(total / scores.length), mean: weighted / total }
}
