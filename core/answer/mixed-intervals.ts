/** @file Intervals and quantiles of a mixture of predictive distributions, sum_k w_k p_k. */
import { mixedCountQuantile } from '../likelihood/poisson-mixture.js'
import { mixtureQuantile } from '../metrics/mixture-quantiles.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'
import type { Prediction } from './prediction.js'
import { beside, type IntervalFields, intervalFields, type IntervalRequest } from './predictive-intervals.js'

/** The distributions of the entries of a prediction: their quantile p. */
type Quantile = (p: number, entry: number) => number

/**
 * Of numbers those of the mixture's distribution; calibrated ones about its moments; of classes the sets of its
 * probabilities.
 * @param mixed the mixture's own prediction, term by term
 * @throws OptionError BAD_COMBINATION where there are none
 */
export function mixedIntervals(mixed: Prediction, own: readonly Prediction[], weights: Float64Array,
  request: IntervalRequest, note: (sentence: string) => void): IntervalFields {
  const { level, quantiles, noise, calibration, likelihood: { name } } = request
  if (level === undefined && quantiles === undefined) return {}
  if (mixed.probabilities !== undefined || (calibration !== undefined && noise)) {
    return intervalFields(mixed, request, note)
  }
  const { shape } = mixed.predictiveMean ?? mixed.mean
  const quantile = quantileOf(own, weights, request)
  const at = (p: number): Float64Array =>
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, entry) => quantile(p, entry))
  const observed = noise && mixed.predictiveVariance !== undefined
  return {
    interval: !observed ? 'credible' : name === 'poisson' ? 'poisson' : 'gaussian',
    ...(level === undefined
      ? {}
      : { level, lower: float64(shape, at((1 - level) / 2)), upper: float64(shape, at((1 + level) / 2)) }),
    ...(quantiles === undefined ? {} : { quantiles: beside(Array.from(quantiles, at), shape) }),
  }
}

/** Of a new observation, or without noise of its mean: Gaussians, counts, or rates whose logarithms are Gaussian. */
function quantileOf(own: readonly Prediction[], weights: Float64Array,
  { noise, likelihood: { name, observation } }: IntervalRequest): Quantile {
  const gaussian = (means: readonly Tensor[], variances: readonly Tensor[]): Quantile => {
    const deviations = variances.map(variance => toFloat64(variance).map(v => Math.sqrt(Math.max(0, v))))
    return (p, entry) =>
      mixtureQuantile(p, means.map(({ data }) => Number(data[entry])), deviations.map(each => each[entry]), weights)
  }
  const means = own.map(({ mean }) => mean)
  const variances = own.map(({ variance }) => variance)
  if (name === 'poisson') {
    const logRate = gaussian(means, variances)
    return noise
      ? (p, entry) =>
        mixedCountQuantile(p,
          own.map(({ mean, variance }, k) => ({ weight: weights[k], mean: Number(mean.data[entry]),
            variance: Number(variance.data[entry]) })
          ))
      : (p, entry) => Math.exp(logRate(p, entry))
  }
  if (noise) {
    return gaussian(own.map(({ mean, predictiveMean = mean }) => predictiveMean),
      own.map(({ variance, predictiveVariance = variance }) => predictiveVariance))
  }
  if (observation === undefined) return gaussian(means, variances)
  const ofMean = own.map(({ mean, variance }) => {
    const [examples, outputs] = mean.shape
    return observation.moments(toFloat64(mean), toFloat64(variance), examples, outputs)
  })
  const asTensor = (values: Float64Array): Tensor => float64([values.length], values)
  return gaussian(ofMean.map(({ mean }) => asTensor(mean)), ofMean.map(({ epistemic }) => asTensor(epistemic)))
}
