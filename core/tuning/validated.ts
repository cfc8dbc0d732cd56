/**
 * @file The joint choice by held-out rows: prior precision, link, s, the network's temperature T and the weights of
 * network and linear model together, p = (1 - w) p_network(f / T) + w link(f_lin, s S). Fifty rows say little, so that
 * every part is shrunk towards what the training rows alone say, and the choice replaces that only where it improves
 * the held-out rows by more than a standard error. A candidate's score is its likelihood averaged over w, and w is its
 * mean under that likelihood.
 */
import { breathe, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { NumericalError } from '../errors/errors.js'
import type { LabelledRows } from '../linear-model/linear-problem.js'
import type { Link } from '../options/words.js'
import type { Answer } from '../prediction/answer.js'
import { differenceLink, scaledProbabilities } from '../prediction/mixture.js'
import { type Gain, gainOf, isGain } from './gain.js'

/** Steps k of the prior precision delta 4^k; 0 is what the training rows say. */
export const DELTA_STEPS: readonly number[] = [-2, -1, 0, 1, 2]

/** T of the network that are compared; 1 is what the training rows say. */
const TEMPERATURES: readonly number[] = Array.from({ length: 13 }, (_, i) => 2 ** (i / 2 - 1))

/**
 * Nats that a step of the prior precision costs, times k^2; that T costs, times (log T)^2; and that a change of s by 1
 * costs, or by the whole of one that is larger.
 */
const STEP_COST = 1
const TEMPERATURE_COST = 1
const SCALE_COST = 4
/** Rows that the weight of the training rows' choice counts as. */
const PRIOR_ROWS = 4
const WEIGHTS = Float64Array.from({ length: 11 }, (_, i) => i / 10)
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
  /** The same of the outputs halfway, where these are a part of the answer that the training rows alone choose. */
  readonly halfway?: Float64Array
}

/** What held-out rows choose, and what they say of it. */
export interface ValidatedChoice extends Answer {
  readonly step: number
  /** Of the best candidate over what the training rows alone choose, in nats a label. */
  readonly gain: Gain
}

/** delta of a step. */
export function steppedDelta(delta: number, step: number): number {
  return delta * 4 ** step
}

/** The probabilities of the labels that came true, one a label. */
function truthOf({ likelihood, labels, outputs }: LabelledRows, p: Float64Array): Float64Array {
  return likelihood.name === 'classification'
    ? labels.map((label, n) => p[n * outputs + label])
    : labels.map((label, i) => (label === 1 ? p[i] : 1 - p[i]))
}

/**
 * The candidates of one prior precision.
 * @param linear f_lin of the held-out rows, N x C
 * @param covariance N x C x C
 * @param byTraining what the training rows alone say
 */
export function candidatesAt(rows: HeldOutOutputs, step: number, linear: Float64Array, covariance: Float64Array,
  byTraining: Answer): ValidatedCandidate[] {
  const { likelihood, examples, outputs, f } = rows
  return linksOf(rows, byTraining).map(([link, varianceScale]) => {
    const p = scaledProbabilities(link, likelihood, { f: linear, variance: covariance, examples, outputs },
      varianceScale)
    const candidate = { step, link, varianceScale, truth: truthOf(rows, p) }
    if (!isOfTraining(candidate, byTraining) || byTraining.halfwayWeight === undefined) return candidate
    const halfway = { f: f.map((value, i) => (value + linear[i]) / 2), variance: covariance, examples, outputs }
    return { ...candidate,
      halfway: truthOf(rows, scaledProbabilities(link, likelihood, halfway, byTraining.halfwayScale ?? 0)) }
  })
}

function isOfTraining({ step, link, varianceScale }: Omit<ValidatedCandidate, 'truth'>, byTraining: Answer): boolean {
  return step === 0 && link === byTraining.link && varianceScale === byTraining.varianceScale
}

/** Links with factors of the variance: the link that ignores the common shift, and what the training rows say. */
function linksOf({ likelihood, outputs }: LabelledRows,
  { link, varianceScale }: Answer): readonly (readonly [Link, number])[] {
  const plain = differenceLink(likelihood, outputs)
  const all = [0, 0.25, 0.5, 1].map(scale => [plain, scale] as const)
  return all.some(([one, scale]) => one === link && scale === varianceScale) ? all : [...all, [link, varianceScale]]
}

/** A candidate with the rest of an answer. */
interface Weighted {
  readonly candidate: ValidatedCandidate
  readonly temperature: number
  readonly weight: number
  readonly score: number
}

/**
 * The best candidate with T and weight, where held-out rows tell it from what the training rows alone say; else that.
 * @param byTraining what the training rows alone say, which is one of the candidates
 * @throws CancelledError
 */
export async function chooseValidated(rows: HeldOutOutputs, candidates: readonly ValidatedCandidate[],
  byTraining: Answer, { signal }: WorkOptions = {}): Promise<ValidatedChoice> {
  const { linearWeight, halfwayWeight = 0 } = byTraining
  const logPrior = WEIGHTS.map(weight => weightPrior(weight, linearWeight + halfwayWeight / 2))
  let best: Weighted | undefined
  for (const temperature of TEMPERATURES) {
    await breathe()
    throwIfCancelled(signal)
    const network = networkTruth(rows, temperature)
    for (const candidate of candidates) {
      const { logMean, mean } = averageOver(
        WEIGHTS.map((weight, i) => logPrior[i] + logLikelihood(network, candidate.truth, weight)),
      )
      const score = logMean - costOf(candidate, temperature, byTraining)
      if (best === undefined || score > best.score) best = { candidate, temperature, weight: mean, score }
    }
  }
  const own = candidates.find(candidate => isOfTraining(candidate, byTraining))
  const gain = best === undefined || own === undefined
    ? { mean: 0, error: 0 }
    : gainOver(rows, best, answerTruth(rows, own, byTraining))
  if (best === undefined || !isGain(gain)) return { ...byTraining, step: 0, gain }
  const { candidate: { step, link, varianceScale }, temperature, weight } = best
  return { step, link, varianceScale, networkWeight: 1 - weight, linearWeight: weight, gain,
    ...(temperature === 1 ? {} : { networkTemperature: temperature }) }
}

function costOf({ step, varianceScale }: ValidatedCandidate, temperature: number, byTraining: Answer): number {
  return STEP_COST * step ** 2 + TEMPERATURE_COST * Math.log(temperature) ** 2
    + SCALE_COST * Math.abs(varianceScale - byTraining.varianceScale) / Math.max(1, byTraining.varianceScale)
}

/** The network's probabilities of the labels that came true, its logits divided by T. */
function networkTruth(rows: HeldOutOutputs, temperature: number): Float64Array {
  const { likelihood, examples, outputs, f } = rows
  const scaled = temperature === 1 ? f : f.map(value => value / temperature)
  return truthOf(rows, likelihood.inverseLink(scaled, examples, outputs))
}

/** The probabilities of the labels that came true by the answer of the training rows. */
function answerTruth(rows: HeldOutOutputs, { truth, halfway }: ValidatedCandidate,
  { networkWeight, linearWeight, halfwayWeight = 0 }: Answer): Float64Array {
  const network = networkTruth(rows, 1)
  return truth.map((p, i) => networkWeight * network[i] + linearWeight * p + halfwayWeight * (halfway?.[i] ?? 0))
}

/**
 * What the best candidate gains over an answer, a label; its error by rows, as labels of one row are not independent.
 * @param other the answer's probabilities of what came true
 */
function gainOver(rows: HeldOutOutputs, { candidate, temperature, weight }: Weighted, other: Float64Array): Gain {
  const network = networkTruth(rows, temperature)
  const log = (p: number): number => Math.log(Math.max(SMALLEST, p))
  const width = other.length / rows.examples
  const gains = new Float64Array(rows.examples)
  candidate.truth.forEach((p, i) => {
    gains[Math.floor(i / width)] += (log((1 - weight) * network[i] + weight * p) - log(other[i])) / width
  })
  return gainOf(gains)
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
 * @throws NumericalError when even that fails; CancelledError
 */
export async function chooseFound<T>(rows: HeldOutOutputs, candidates: readonly ValidatedCandidate[],
  byTraining: Answer, work: WorkOptions,
  find: (step: number) => T | Promise<T>): Promise<{ readonly chosen: ValidatedChoice, readonly found: T }> {
  let left = candidates
  for (;;) {
    const chosen = await chooseValidated(rows, left, byTraining, work)
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
