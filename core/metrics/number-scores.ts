/** @file What a predictive distribution of numbers is scored by: that of Gaussians, and that of counts. */
import { countQuantile, countScore, countShare } from '../likelihood/poisson-mixture.js'
import { poisson } from '../likelihood/poisson.js'
import { centralCoverage } from './coverage.js'
import { gaussianCrps } from './crps.js'
import { meanIntervalWidth } from './interval-width.js'
import { gaussianNll } from './nll.js'
import { gaussianPit } from './pit.js'
import type { ScoredNumbers } from './scored-prediction.js'

/** Scores over all entries of N x K; lower is better of the first three. */
export interface NumberScores {
  /** -log p(y), mean. */
  nll(): number
  /** Continuous ranked probability score, mean. */
  crps(): number
  /** Of counts: 2 [y log(y / E[y]) - (y - E[y])], mean. */
  readonly deviance?: () => number
  /** Where the truth lies in its distribution; counts have several values, spread evenly over their step. */
  pit(): Float64Array
  /** Share of the truth inside of the central intervals of the level, and their mean width. */
  interval(level: number): { readonly coverage: number, readonly width: number }
}

/** The scores of what was predicted. */
export function numberScores(scored: ScoredNumbers): NumberScores {
  return scored.logRates === undefined ? gaussianScores(scored) : countScores(scored, scored.logRates)
}

function gaussianScores({ mean, variance, labels }: ScoredNumbers): NumberScores {
  return {
    nll: () => gaussianNll(mean, variance, labels),
    crps: () => gaussianCrps(mean, variance, labels),
    pit: () => gaussianPit(mean, variance, labels),
    interval: level => ({ coverage: centralCoverage(mean, variance, labels, level),
      width: meanIntervalWidth(variance, level) }),
  }
}

/** Values that stand for the step of one count in the probability integral transform. */
const PIT_VALUES = 16

function countScores({ mean, labels }: ScoredNumbers,
  { mean: f, variance: v }: NonNullable<ScoredNumbers['logRates']>): NumberScores {
  const average = (score: (y: number, i: number) => number): number =>
    labels.reduce((sum, y, i) => sum + score(y, i), 0) / labels.length
  return {
    nll: () => poisson.observation?.nll(f, v, labels, labels.length, 1) ?? NaN,
    crps: () => average((y, i) => countScore(y, f[i], v[i])),
    deviance: () => deviance(labels, mean),
    pit: () => steps(labels, (y, i) => countShare(y, f[i], v[i])),
    interval: level => intervalScores(labels, level, (p, i) => countQuantile(p, f[i], v[i])),
  }
}

/** 2 [y log(y / mean) - (y - mean)] of counts, their mean. */
export function deviance(labels: Float64Array, mean: Float64Array): number {
  return labels.reduce((sum, y, i) => sum + 2 * ((y > 0 ? y * Math.log(y / mean[i]) : 0) - (y - mean[i])), 0)
    / labels.length
}

/** Of central intervals whose ends are quantiles. */
export function intervalScores(labels: Float64Array, level: number,
  quantile: (p: number, i: number) => number): ReturnType<NumberScores['interval']> {
  let [inside, width] = [0, 0]
  labels.forEach((y, i) => {
    const [low, high] = [(1 - level) / 2, (1 + level) / 2].map(p => quantile(p, i))
    if (low <= y && y <= high) inside++
    width += high - low
  })
  return { coverage: inside / labels.length, width: width / labels.length }
}

/** The transform of counts that is not random (Czado, Gneiting and Held 2009): all of F(y - 1) to F(y), evenly. */
export function steps(labels: Float64Array, share: (y: number, i: number) => number): Float64Array {
  const values = new Float64Array(labels.length * PIT_VALUES)
  labels.forEach((y, i) => {
    const [low, high] = [y < 1 ? 0 : share(y - 1, i), share(y, i)]
    for (let k = 0; k < PIT_VALUES; k++) values[i * PIT_VALUES + k] = low + (high - low) * (k + 0.5) / PIT_VALUES
  })
  return values
}
