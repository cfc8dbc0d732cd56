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

/** P(y <= k), k the whole part of y. */
export function countShare(y: number, mean: number, variance: number): number {
  return share(nodesOf(mean, variance), Math.floor(y))
}

/** Where so many counts matter, their distribution is summed one by one; beyond, in even steps. */
const MOST_COUNTS = 4096
const FEWEST_STEPS = 512
/** Counts further from the mean than so many standard deviations have no share. */
const TAIL = 14

/**
 * The continuous ranked probability score of a count (Gneiting and Raftery 2007), the integral of (F(t) - 1{t >= y})^2:
 * the sum of F(k)^2 below y and of (1 - F(k))^2 from y on, where beyond y = k + r the step of k is parted.
 */
export function countScore(y: number, mean: number, variance: number): number {
  const nodes = nodesOf(mean, variance)
  const expected = Math.exp(mean + variance / 2)
  const reach = TAIL * Math.sqrt(expected + expected * expected * Math.expm1(variance)) + TAIL
  const [low, high] = [Math.max(0, Math.floor(expected - reach)), Math.ceil(Math.exp(mean + REACH * Math.sqrt(variance))
    + reach)]
  const count = Math.floor(y)
  const [first, last] = [Math.min(low, count), Math.max(high, count)]
  const step = last - first <= MOST_COUNTS ? 1 : Math.ceil((last - first) / FEWEST_STEPS)
  const shareAt = step === 1 ? cumulative(nodes, first, last) : (k: number): number => share(nodes, k)
  const below = (k: number): number => shareAt(k) ** 2
  const above = (k: number): number => (1 - shareAt(k)) ** 2
  const rest = y - count
  return evenSum(below, count - 1, first, -step) + rest * below(count) + (1 - rest) * above(count)
    + evenSum(above, count + 1, last, step)
}

/** P(y <= k) for k of first ... last, by the recurrence of each node's probabilities. */
function cumulative(nodes: Nodes, first: number, last: number): (k: number) => number {
  const { logRates, weights } = nodes
  const rates = logRates.map(Math.exp)
  const terms = weights.map((weight, i) => weight * Math.exp(first * logRates[i] - rates[i] - logGamma(first + 1)))
  const shares = new Float64Array(Math.max(0, last - first) + 1)
  let sum = first > 0 ? share(nodes, first - 1) : 0
  for (let k = 0; k < shares.length; k++) {
    for (let i = 0; i < terms.length; i++) {
      sum += terms[i]
      terms[i] *= rates[i] / (first + k + 1)
    }
    shares[k] = Math.min(1, sum)
  }
  return k => shares[k - first]
}

/**
 * The sum of a smooth function that dies away over the counts from `start` towards `end`: of every |step|-th one times
 * |step|, with the ends of the Euler-Maclaurin formula.
 */
function evenSum(of: (k: number) => number, start: number, end: number, step: number): number {
  const width = Math.abs(step)
  const terms: number[] = []
  for (let k = start; (end - k) * Math.sign(step) >= 0; k += step) terms.push(of(k))
  const sum = terms.reduce((all, term) => all + term, 0)
  if (width === 1 || terms.length < 3) return width * sum
  const slope = (4 * terms[1] - 3 * terms[0] - terms[2]) / (2 * width)
  return width * sum - (width - 1) / 2 * terms[0] + (width * width - 1) / 12 * slope
}

/** P(y <= k). */
function share({ logRates, weights }: Nodes, k: number): number {
  let sum = 0
  for (let i = 0; i < weights.length; i++) sum += weights[i] * upperGammaShare(k + 1, Math.exp(logRates[i]))
  return sum
}
