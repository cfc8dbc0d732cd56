/**
 * @file Counts whose rate is uncertain: y ~ Poisson(exp f), f ~ N(mean, variance), by the trapezoidal rule, which
 * converges faster than any power of the step where what is integrated dies away on both sides (Trefethen and Weideman
 * 2014). The number of nodes depends on neither the rate nor the variance.
 *
 * P(y <= k) is the mean of the Poisson distribution's share over the Gaussian and, integrated by parts, the mean of the
 * Gaussian's share over the logarithm of a gamma variable of shape k + 1: the nodes lie on the narrower of the two.
 */
import { logGamma, logGammaRest, upperGammaShare } from '../kernels/gamma.js'
import { normalQuantile } from '../kernels/normal-quantile.js'

/** Standard deviations of a Gaussian beyond which nothing lies. */
const REACH = 8
/** Nodes for each width of what is integrated. */
const NODES_A_WIDTH = 2
/** Logarithms of densities this far below the largest one count for nothing. */
const LOG_NOTHING = 40

interface Nodes {
  /** Logarithms of rates. */
  readonly at: Float64Array
  /** They sum to 1. */
  readonly weights: Float64Array
}

/** Nodes of a density that is given by its logarithm, at even steps. */
function evenNodes(low: number, high: number, step: number, logDensity: (f: number) => number): Nodes {
  const at = Float64Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step)
  const heights = at.map(f => Math.exp(logDensity(f)))
  const total = heights.reduce((sum, height) => sum + height, 0)
  return { at, weights: heights.map(height => height / total) }
}

/** Of N(mean, deviation^2), for what is `width` wide. */
function gaussianNodes(mean: number, deviation: number, width = deviation): Nodes {
  if (deviation === 0) return { at: Float64Array.of(mean), weights: Float64Array.of(1) }
  const { at, weights } = evenNodes(-REACH, REACH, Math.min(1, width / deviation) / NODES_A_WIDTH, z => -z * z / 2)
  return { at: at.map(z => mean + deviation * z), weights }
}

/** Of t = log(u / a), u a gamma variable of shape a: its density is exp(a (t - expm1 t)) but for a factor. */
function logGammaNodes(a: number): Nodes {
  const half = Math.sqrt(2 * LOG_NOTHING / a)
  return evenNodes(-half - LOG_NOTHING / a, half, 1 / (NODES_A_WIDTH * Math.sqrt(a)), t => -a * aboveTangent(t))
}

/** expm1(t) - t, which loses its digits where t is small. */
function aboveTangent(t: number): number {
  return Math.abs(t) < 1e-3 ? t * t / 2 * (1 + t / 3 * (1 + t / 4 * (1 + t / 5))) : Math.expm1(t) - t
}

function gaussianShare(z: number): number {
  const tail = upperGammaShare(0.5, z * z / 2) / 2
  return z < 0 ? tail : 1 - tail
}

/** P(y <= k), of k >= -1 that need not be whole, as a function of k. */
function shareOf(mean: number, variance: number): (k: number) => number {
  const deviation = Math.sqrt(Math.max(0, variance))
  const gaussian = gaussianNodes(mean, deviation)
  const rates = gaussian.at.map(Math.exp)
  return k => {
    if (k <= -1 || k === Infinity) return k < 0 ? 0 : 1
    const a = k + 1
    if (deviation * Math.sqrt(a) <= 1) return weighted(gaussian.weights, i => upperGammaShare(a, rates[i]))
    const { at, weights } = logGammaNodes(a)
    const distance = Math.log(a) - mean
    return weighted(weights, i => gaussianShare((distance + at[i]) / deviation))
  }
}

function weighted(weights: ArrayLike<number>, of: (i: number) => number): number {
  let sum = 0
  for (let i = 0; i < weights.length; i++) sum += weights[i] * of(i)
  return sum
}

/** The logarithm of a gamma variable of such a shape is Gaussian, and so narrow that steps of it are lost. */
const GAUSSIAN_FROM = 1e20
/** Below such a variance steps of the log rate are lost, and the logarithm of what is integrated is a parabola. */
const POINT = 1e-24

/**
 * log p(y), also for y that is no whole number, by the gamma function: the integral of a density that is log-concave in
 * t = f - log a around its largest value.
 */
export function countLogProbability(y: number, mean: number, variance: number): number {
  const a = Math.max(y, 1)
  const [origin, rest] = [Math.log(a), a === y ? -logGammaRest(y) : y * Math.log(a) - a - logGamma(y + 1)]
  // y f - exp f - log y! = rest - (a - y) t - a (expm1 t - t), where f = t + log a.
  const logCount = (t: number): number => rest + (y - a) * t - a * aboveTangent(t)
  const centre = mean - origin
  if (variance < POINT) {
    const [rate, v] = [a * Math.exp(centre), Math.max(0, variance)]
    return logCount(centre) + ((y - rate) * ((y - rate) * v / (1 + rate * v)) - Math.log1p(rate * v)) / 2
  }
  if (y > GAUSSIAN_FROM) {
    return -(centre ** 2) / (2 * (variance + 1 / y)) - Math.log(2 * Math.PI * (variance + 1 / y)) / 2 - origin
  }
  const logDensity = (t: number): number => logCount(t) - (t - centre) ** 2 / (2 * variance)
  const mode = modeOf(y, a, centre, variance)
  const step = Math.min(NARROWEST, 1 / (NODES_A_WIDTH * Math.sqrt(1 / variance + a * Math.exp(mode))))
  const largest = logDensity(mode)
  let sum = 1
  for (const side of [-step, step]) {
    for (let i = 1;; i++) {
      const below = logDensity(mode + i * side) - largest
      if (!(below > -LOG_NOTHING)) break
      sum += Math.exp(below)
    }
  }
  return largest + Math.log(sum * step) - Math.log(2 * Math.PI * variance) / 2
}

/** exp(-exp t) falls within about 1, however wide the Gaussian is. */
const NARROWEST = 1 / 3
const MOST_ROUNDS = 200

/** Where y t - a exp t - (t - centre)^2 / (2 variance) is largest: Newton's steps from where they do not overshoot. */
function modeOf(y: number, a: number, centre: number, variance: number): number {
  // The slope falls and is concave: from the right, where it is below 0, the steps come down to its zero.
  const right = Math.max(centre, Math.log(Math.max(y, Number.MIN_VALUE) / a))
  let t = Math.min(right, Math.max(0, Math.log((y + Math.max(0, centre) / variance) / a)))
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const rate = a * Math.exp(t)
    const next = t + (y - rate - (t - centre) / variance) / (rate + 1 / variance)
    if (!(Math.abs(next - t) > 1e-9 / Math.sqrt(rate + 1 / variance))) return next
    t = next
  }
  return t
}

/** The least count k with P(y <= k) >= p. */
export function countQuantile(p: number, mean: number, variance: number): number {
  const share = shareOf(mean, variance)
  const z = normalQuantile(p)
  const middle = Math.exp(mean + Math.sqrt(Math.max(0, variance)) * z)
  if (middle === Infinity) return Infinity
  let step = Math.max(1, Math.ceil(0.5 * Math.sqrt(middle)))
  const reaches = (k: number): boolean => share(k) >= p
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

/** The smallest count k with sum w P(y <= k) >= p, which lies between the members' own. */
export function mixedCountQuantile(p: number, rates: readonly WeightedRate[]): number {
  const own = rates.map(({ mean, variance }) => countQuantile(p, mean, variance))
  const shares = rates.map(({ mean, variance }) => shareOf(mean, variance))
  let [low, high] = [Math.min(...own) - 1, Math.max(...own)]
  while (high - low > 1 && high < Infinity) {
    const between = Math.floor((low + high) / 2)
    if (between === low || between === high) break
    if (weighted(rates.map(({ weight }) => weight), i => shares[i](between)) >= p) high = between
    else low = between
  }
  return high
}

/** P(y <= k), k the whole part of y. */
export function countShare(y: number, mean: number, variance: number): number {
  return shareOf(mean, variance)(Math.floor(y))
}

/** Counts below are summed one by one; those from here on by an integral. */
const MANY = 256
const MOST_COUNT = 1e307
/** Standard deviations of a count, and of its rate's logarithm, beyond which the square of a share is nothing. */
const TAIL = 7

/** A rate whose logarithm is N(mean, variance), and what it counts for among others. */
export interface WeightedRate {
  readonly weight: number
  readonly mean: number
  readonly variance: number
}

/** Counts beside which nothing lies. */
function reachOf({ mean, variance }: WeightedRate): { readonly low: number, readonly high: number } {
  const deviation = Math.sqrt(Math.max(0, variance))
  const [least, most] = [-TAIL, TAIL + deviation].map(z => Math.min(MOST_COUNT, Math.exp(mean + deviation * z)))
  return { low: Math.max(0, Math.floor(least - TAIL * Math.sqrt(least))),
    high: Math.ceil(most + TAIL * Math.sqrt(most) + 2 * TAIL) }
}

/** As `mixedCountScore`, of one rate. */
export function countScore(y: number, mean: number, variance: number): number {
  return mixedCountScore(y, [{ weight: 1, mean, variance }])
}

/**
 * The continuous ranked probability score of a count (Gneiting and Raftery 2007), the integral of (F(t) - 1{t >= y})^2:
 * the sum of F(k)^2 below y and of (1 - F(k))^2 from y on, where beyond y = k + r the step of k is parted.
 * @param rates of F = sum w F_k; their weights sum to 1
 */
export function mixedCountScore(y: number, rates: readonly WeightedRate[]): number {
  const reaches = rates.map(reachOf)
  const low = Math.min(...reaches.map(reach => reach.low))
  const high = Math.max(...reaches.map(reach => reach.high))
  const deviation = Math.sqrt(Math.max(0, ...rates.map(({ variance }) => variance)))
  const shares = rates.map(({ mean, variance }) => sharesFrom(low, Math.min(high, MANY - 1), mean, variance))
  const shareAt = (k: number): number => shares.reduce((sum, own, i) => sum + rates[i].weight * own(k), 0)
  const below = (k: number): number => shareAt(k) ** 2
  const above = (k: number): number => (1 - shareAt(k)) ** 2
  const count = Math.floor(y)
  const rest = y - count
  const sumOf = (of: (k: number) => number, from: number, to: number): number =>
    sumOfCounts(of, Math.max(from, low), Math.min(to, high), deviation)
  return sumOf(below, low, count - 1) + Math.max(0, count - 1 - Math.max(high, -1))
    + rest * below(count) + (1 - rest) * above(count)
    + sumOf(above, count + 1, high) + Math.max(0, low - count - 1)
}

/** Log rates whose deviation is beyond this have a share of every count that is worked out for itself. */
const WIDE = 4

/** P(y <= k), of k = first ... last by the recurrence of each node's probabilities, of all others by an integral. */
function sharesFrom(first: number, last: number, mean: number, variance: number): (k: number) => number {
  const share = shareOf(mean, variance)
  const deviation = Math.sqrt(Math.max(0, variance))
  if (last < first || deviation > WIDE) return share
  const { at, weights } = gaussianNodes(mean, deviation, 1 / Math.sqrt(last + 1))
  const rates = at.map(Math.exp)
  const terms = weights.map((weight, i) => weight * Math.exp(first * at[i] - rates[i] - logGamma(first + 1)))
  const shares = new Float64Array(last - first + 1)
  let sum = first > 0 ? share(first - 1) : 0
  for (let k = 0; k < shares.length; k++) {
    for (let i = 0; i < terms.length; i++) {
      sum += terms[i]
      terms[i] *= rates[i] / (first + k + 1)
    }
    shares[k] = Math.min(1, sum)
  }
  return k => (Number.isInteger(k) && k >= first && k <= last ? shares[k - first] : share(k))
}

/** The sum of a function of a share over k = from ... to. */
function sumOfCounts(of: (k: number) => number, from: number, to: number, deviation: number): number {
  let sum = 0
  for (let k = from; k <= to && k < MANY; k++) sum += of(k)
  const [first, last] = [Math.max(from, MANY), to]
  if (last < first) return sum
  // Steps of a count are narrow here: the rule of midpoints, with the first correction of its ends.
  const [a, b] = [first - 0.5, last + 0.5]
  return sum + integral(of, a, b, deviation) - (of(b + 0.5) - of(b - 0.5) - of(a + 0.5) + of(a - 0.5)) / 24
}

/** Positive nodes and their weights of the Gauss-Legendre rule of eight nodes on -1 ... 1. */
const LEGENDRE = [[0.1834346424956498, 0.3626837833783620], [0.5255324099163290, 0.3137066458778873], [
  0.7966664774136267,
  0.2223810344533745,
], [0.9602898564975363, 0.1012285362903763]] as const

/** The integral of a function of a share from a to b, in panels as wide as its changes. */
function integral(of: (k: number) => number, a: number, b: number, deviation: number): number {
  let sum = 0
  for (let from = a; from < b;) {
    const to = Math.min(b, from + from * Math.expm1(Math.min(1, Math.sqrt(deviation ** 2 + 1 / from))))
    if (to === from) break
    const [middle, half] = [(from + to) / 2, (to - from) / 2]
    for (const [at, weight] of LEGENDRE) sum += half * weight * (of(middle + half * at) + of(middle - half * at))
    from = to
  }
  return sum
}
