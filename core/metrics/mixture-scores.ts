/** @file What a mixture of predictive distributions of numbers, sum_k w_k p_k, is scored by. */
import { countLogProbability, countShare, mixedCountQuantile, mixedCountScore,
  type WeightedRate } from '../likelihood/poisson-mixture.js'
import { erf } from '../ops/erf.js'
import { mixtureQuantile } from './mixture-quantiles.js'
import { negativeLogNormal } from './nll.js'
import { deviance, intervalScores, type NumberScores, numberScores, steps } from './number-scores.js'
import type { ScoredNumbers, WeightedNumbers } from './scored-prediction.js'

/** The scores of what was predicted, by one distribution or by a mixture. */
export function scoresOf(scored: ScoredNumbers): NumberScores {
  return scored.members === undefined ? numberScores(scored) : mixtureScores(scored, scored.members)
}

/** Of a mixture of Gaussians, or of counts. */
function mixtureScores({ mean, labels }: ScoredNumbers, members: readonly WeightedNumbers[]): NumberScores {
  return members.some(({ scored }) => scored.logRates !== undefined)
    ? countScores(labels, mean, members)
    : gaussianScores(labels, members)
}

function gaussianScores(labels: Float64Array, members: readonly WeightedNumbers[]): NumberScores {
  const weights = members.map(({ weight }) => weight)
  const sum = (of: (scored: ScoredNumbers) => number): number =>
    members.reduce((total, { weight, scored }) => total + weight * of(scored), 0)
  return {
    nll: () =>
      meanNll(labels, weights, (y, i, k) => {
        const { scored: { mean, variance } } = members[k]
        return -negativeLogNormal((y - mean[i]) ** 2, variance[i])
      }),
    crps: () =>
      average(labels, (y, i) =>
        sum(a =>
          distance(y - a.mean[i], a.variance[i])
          - sum(b => distance(a.mean[i] - b.mean[i], a.variance[i] + b.variance[i])) / 2
        )),
    pit: () =>
      labels.map((y, i) => sum(({ mean, variance }) => (1 + erf((y - mean[i]) / Math.sqrt(2 * variance[i]))) / 2)),
    interval: level =>
      intervalScores(labels, level, (p, i) =>
        mixtureQuantile(p, members.map(({ scored }) =>
          scored.mean[i]
        ), members.map(({ scored }) => Math.sqrt(scored.variance[i])), weights)),
  }
}

/** E|z| of z ~ N(mean, variance): of two of them a mixture's score is made (Grimit et al. 2006). */
function distance(mean: number, variance: number): number {
  if (variance === 0) return Math.abs(mean)
  const z = mean / Math.sqrt(variance)
  return mean * erf(z / Math.SQRT2) + Math.sqrt(2 * variance / Math.PI) * Math.exp(-z * z / 2)
}

function countScores(labels: Float64Array, mean: Float64Array, members: readonly WeightedNumbers[]): NumberScores {
  const ratesAt = (i: number): WeightedRate[] =>
    members.map(({ weight, scored: { logRates } }) => ({ weight, mean: logRates?.mean[i] ?? NaN,
      variance: logRates?.variance[i] ?? NaN })
    )
  return {
    nll: () =>
      meanNll(labels, members.map(({ weight }) => weight), (y, i, k) => {
        const { mean: f, variance } = ratesAt(i)[k]
        return countLogProbability(y, f, variance)
      }),
    crps: () => average(labels, (y, i) => mixedCountScore(y, ratesAt(i))),
    deviance: () => deviance(labels, mean),
    pit: () =>
      steps(labels, (y, i) =>
        ratesAt(i).reduce((sum, rate) => sum + rate.weight * countShare(y, rate.mean, rate.variance), 0)),
    interval: level => intervalScores(labels, level, (p, i) => mixedCountQuantile(p, ratesAt(i))),
  }
}

/** -log sum_k w_k exp(l_k) of the members' log densities, its mean; the largest is taken off first. */
function meanNll(labels: Float64Array, weights: readonly number[],
  logDensity: (y: number, i: number, k: number) => number): number {
  return average(labels, (y, i) => {
    const own = weights.map((weight, k) => Math.log(weight) + logDensity(y, i, k))
    const most = Math.max(...own)
    return most === -Infinity
      ? Infinity
      : -most - Math.log(own.reduce((sum, value) => sum + Math.exp(value - most), 0))
  })
}

function average(labels: Float64Array, of: (y: number, i: number) => number): number {
  return labels.reduce((sum, y, i) => sum + of(y, i), 0) / labels.length
}
