/** @file The prediction of several posteriors together, sum_k w_k p_k, from those of the same rows by each of them. */
import { hasLogits, hasNumbers } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import { entropy } from '../prediction/decomposition.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import type { Prediction } from './prediction.js'

/** A field of a prediction that is a tensor. */
type Field = (prediction: Prediction) => Tensor | undefined

/**
 * Probabilities are the weighted means; their aleatoric part is the mean of the members', the epistemic part what the
 * entropy of the mixture has beyond it. Means, variances and covariances are the moments of the mixture: the members'
 * disagreement is part of them, and of the epistemic variance. The novelty is min(1, 2 sum_k w_k p_k), a p-value again
 * however the members' depend on each other (Vovk and Wang 2020).
 * @param own predictions of the same rows, term by term
 * @param weights w, which sum to 1
 */
export function mixedPrediction(likelihood: Likelihood, own: readonly Prediction[], weights: Float64Array): Prediction {
  const [first] = own
  const mean = (of: Field): Tensor | undefined => weightedMean(own.map(of), weights)
  const moments = (centre: Field, spread: Field): { centre: Tensor, spread: Tensor } | undefined =>
    mixedMoments(own.map(centre), own.map(spread), weights)
  const outputs = moments(({ mean: f }) => f, ({ variance }) => variance)
  const observed = moments(({ predictiveMean, mean: f }) => predictiveMean ?? f,
    ({ predictiveVariance }) => predictiveVariance)
  const probabilities = mean(prediction => prediction.probabilities)
  const aleatoric = mean(prediction => prediction.aleatoric)
  const total = probabilities === undefined
    ? observed?.spread
    : aleatoric && totalEntropy(likelihood, probabilities, aleatoric)
  return {
    mean: outputs?.centre ?? first.mean,
    variance: outputs?.spread ?? first.variance,
    ...(hasLogits(likelihood) && probabilities !== undefined ? { probabilities } : {}),
    ...(hasNumbers(likelihood) && observed !== undefined ? { predictiveVariance: observed.spread } : {}),
    ...(first.predictiveMean === undefined || observed === undefined ? {} : { predictiveMean: observed.centre }),
    ...defined('covariance', mixedCovariance(own, ({ covariance }) => covariance, weights)),
    ...defined('predictiveCovariance',
      mixedCovariance(own, ({ predictiveCovariance }) => predictiveCovariance, weights)),
    ...(aleatoric === undefined || total === undefined ? {} : { aleatoric, epistemic: rest(total, aleatoric) }),
    ...novelty(own, mean),
    ...(first.seed === undefined ? {} : { seed: first.seed }),
    notes: [...new Set(own.flatMap(({ notes }) => notes))],
  }
}

function defined(name: 'covariance' | 'predictiveCovariance', value: Tensor | undefined): Partial<Prediction> {
  return value === undefined ? {} : { [name]: value }
}

function novelty(own: readonly Prediction[],
  mean: (of: Field) => Tensor | undefined): Pick<Prediction, 'novelty' | 'noveltyScore'> {
  const [p, score] = [mean(prediction => prediction.novelty), mean(prediction => prediction.noveltyScore)]
  if (p === undefined || score === undefined) return {}
  const factor = own.length === 1 ? 1 : 2
  return { novelty: float64(p.shape, Float64Array.from(p.data, value => Math.min(1, factor * Number(value)))),
    noveltyScore: score }
}

/** Mean and variance of a mixture: E[v] + Var[m]. */
function mixedMoments(centres: readonly (Tensor | undefined)[], spreads: readonly (Tensor | undefined)[],
  weights: Float64Array): { centre: Tensor, spread: Tensor } | undefined {
  const centre = weightedMean(centres, weights)
  const within = weightedMean(spreads, weights)
  if (centre === undefined || within === undefined) return undefined
  const total = Float64Array.from(within.data)
  centres.forEach((own, k) => {
    for (let i = 0; i < total.length; i++) {
      total[i] += weights[k] * (Number(own?.data[i]) - Number(centre.data[i])) ** 2
    }
  })
  return { centre, spread: { ...within, data: total } }
}

/**
 * sum_k w_k (S_k + d_k d_k') with d_k the distances of the members' means from that of the mixture.
 * @param of N x C x C of the outputs of each row, or (N C) x (N C) of all rows together
 */
export function mixedCovariance(own: readonly Pick<Prediction, 'mean' | 'covariance' | 'predictiveCovariance'>[],
  of: (one: Pick<Prediction, 'covariance' | 'predictiveCovariance'>) => Tensor | undefined, weights: Float64Array
): Tensor | undefined {
  const within = weightedMean(own.map(of), weights)
  const centre = weightedMean(own.map(({ mean }) => mean), weights)
  if (within === undefined || centre === undefined) return undefined
  const width = within.shape[within.shape.length - 1]
  const total = Float64Array.from(within.data)
  own.forEach(({ mean }, k) => {
    const distance = Float64Array.from(mean.data, (value: number, i: number) => value - Number(centre.data[i]))
    // Blocks of a row each, or one of all rows.
    for (let i = 0; i < total.length; i++) {
      const row = Math.floor(i / width)
      const column = within.shape.length === 3 ? row - row % width + i % width : i % width
      total[i] += weights[k] * distance[row] * distance[column]
    }
  })
  return float64(within.shape, total)
}

/** The entropy of the classes of every term, or of every label, in the shape of the aleatoric part. */
function totalEntropy(likelihood: Likelihood, probabilities: Tensor, { shape }: Tensor): Tensor {
  const p = Float64Array.from(probabilities.data)
  if (likelihood !== 'classification') return float64(shape, p.map(value => entropy([value, 1 - value])))
  const classes = p.length / shape.reduce((a, b) => a * b, 1)
  return float64(shape,
    Float64Array.from({ length: p.length / classes }, (_, n) => entropy(p.subarray(n * classes, (n + 1) * classes))))
}

/** What a part leaves; below 0 is rounding, and draws. */
function rest(total: Tensor, part: Tensor): Tensor {
  return float64(total.shape, Float64Array.from(total.data, (value, i) => Math.max(0, value - Number(part.data[i]))))
}

/** sum_k w_k t_k, where all of them are there. */
export function weightedMean(values: readonly (Tensor | undefined)[], weights: Float64Array): Tensor | undefined {
  const present = values.flatMap(value => (value === undefined ? [] : [value]))
  if (present.length < values.length) return undefined
  const sum = new Float64Array(present[0].data.length)
  present.forEach(({ data }, k) => {
    for (let i = 0; i < sum.length; i++) sum[i] += weights[k] * Number(data[i])
  })
  return float64(present[0].shape, sum)
}
