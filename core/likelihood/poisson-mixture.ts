/**
 * @file Counts whose rate is uncertain: y ~ Poisson(exp f), f ~ N(mean, variance), by the trapezoidal rule over f,
 * which converges faster than any power of the step for a Gaussian weight (Trefethen and Weideman 2014).
 */
import { logGamma, upperGammaShare } from '../kernels/gamma.js'
import { normalQuantile } from '../kernels/normal-quantile.js'

/** Standard deviations beyond which no node lies. */
const REACH = 8
const FEWEST_NODES = 65
const MOST_NODES = 2001
/** Nodes for each width of what is integrated, 1 / sqrt(rate + 1) in the logarithm of the rate. */
const NODES_A_WIDTH = 4

interface Nodes {
  readonly logRates: Float64Array
  /** They sum to 1. */
  readonly weights: Float64Array
}

function nodesOf(mean: number, variance: number): Nodes {
  const deviation = Math.sqrt(Math.max(0, variance))
  if (deviation === 0) return { logRates: Float64Array.of(mean), weights: Float64Array.of(1) }
  const widths = 2 * REACH * deviation * Math.sqrt(Math.exp(mean + deviation) + 1)
  const count = Math.min(MOST_NODES, Math.max(FEWEST_NODES, Math.ceil(NODES_A_WIDTH * widths)))
  const z = Float64Array.from({ length: count }, (_, i) => REACH * (2 * i / (count - 1) - 1))
  const heights = z.map(value => Math.exp(-0.5 * value * value))
  const total = heights.reduce((sum, height) => sum + height, 0)
  return { logRates: z.map(value => mean + deviation * value), weights: heights.map(height => height / total) }
}

/** log p(y), also for y that is no whole number, by the gamma function. */
export function countLogProbability(y: number, mean: number, variance: number): number {
  const { logRates, weights } = nodesOf(mean, variance)
  const terms = logRates.map((f, i) => Math.log(weights[i]) + y * f - Math.exp(f))
  const largest = terms.reduce((most, term) => Math.max(most, term), -Infinity)
  return largest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - largest), 0)) - logGamma(y + 1)
}

/** The least count k with P(y <= k) >= p. */
export function countQuantile(p: number, mean: number, variance: number): number {
  const nodes = nodesOf(mean, variance)
  const z = normalQuantile(p)
  const middle = Math.exp(mean + Math.sqrt(Math.max(0, variance)) * z)
  if (middle === Infinity) return Infinity
  let step = Math.max(1, Math.ceil(0.5 * Math.sqrt(middle)))
  const reaches = (k: number): boolean => share(nodes, k) >= p
  // A bracket (low, high] with the quantile in it, from where the uncertain rate alone would put it.
  let high = Math.max(0, Math.floor(middle + z * Math.sqrt(middle)))
  let low = high
  while (!reaches(high)) {
    low = high
    high += step
    step *= 2
  }
  if (low === high) {
    low = high - step
    while (low >= 0 && reaches(low)) {
      high = low
      step *= 2
      low -= step
    }
    low = Math.max(-1, low)
  }
  while (high - low > 1) {
    const between = Math.floor((low + high) / 2)
    if (between === low || between === high) break
    if (reaches(between)) high = between
    else low = between
  }
  return high
}

/** P(y <= k). */
function share({ logRates, weights }: Nodes, k: number): number {
  let sum = 0
  for (let i = 0; i < weights.length; i++) sum += weights[i] * upperGammaShare(k + 1, Math.exp(logRates[i]))
  return sum
}
