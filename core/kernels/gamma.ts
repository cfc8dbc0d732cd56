/** @file The logarithm of the gamma function, and the incomplete one: what the distribution of counts is made of. */

/** Stirling's series is exact to rounding from here on; smaller arguments are moved up by the recurrence. */
const STIRLING_FROM = 15
/** B_2k / (2k (2k - 1)), k = 1 ... 7. */
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156]
const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI)
/** A series near its transition takes terms by the root of a; from here on the uniform expansion takes its place. */
const LARGE = 1000
/** Below LARGE a series has long converged by then. */
const MOST_TERMS = 10_000
/** Closer to the transition than this, 1 / (lambda - 1) - 1 / eta loses its digits to cancellation. */
const NEAR = 0.01

/** log Gamma(a) for a > 0, by Stirling's series (Abramowitz and Stegun 1964, 6.1.41). */
export function logGamma(a: number): number {
  let [x, shift] = [a, 0]
  for (; x < STIRLING_FROM; x++) shift -= Math.log(x)
  return shift + (x - 0.5) * Math.log(x) - x + HALF_LOG_TWO_PI + stirlingSeries(x)
}

/** log a! - (a log a - a): of large a these cancel, and log(2 pi a) / 2 and Stirling's series remain. */
export function logGammaRest(a: number): number {
  if (a < STIRLING_FROM) return logGamma(a + 1) - a * Math.log(a) + a
  return HALF_LOG_TWO_PI + Math.log(a) / 2 + stirlingSeries(a)
}

function stirlingSeries(x: number): number {
  const inverse = 1 / (x * x)
  let series = 0
  for (let k = STIRLING.length - 1; k >= 0; k--) series = series * inverse + STIRLING[k]
  return series / x
}

/**
 * Q(a, x) = Gamma(a, x) / Gamma(a), a > 0, x >= 0: the probability of at most a - 1 events where x are expected. By the
 * series below the transition and Lentz' continued fraction above it (Press et al. 2007, Numerical Recipes, 6.2).
 */
export function upperGammaShare(a: number, x: number): number {
  if (x <= 0) return 1
  if (x === Infinity) return 0
  if (a >= LARGE) return uniformShare(a, x)
  const front = Math.exp(a * Math.log(x) - x - logGamma(a))
  return x < a + 1 ? 1 - front * lowerSeries(a, x) : front * upperFraction(a, x)
}

/**
 * The uniform expansion for large a (Temme 1979; DLMF 8.12): 1/2 erfc(eta sqrt(a / 2)) and its first correction, with
 * eta^2 / 2 = lambda - 1 - log lambda, lambda = x / a. What is left out is below 1e-7.
 */
function uniformShare(a: number, x: number): number {
  const excess = (x - a) / a
  const square = 2 * (excess - Math.log1p(excess))
  const eta = Math.sign(excess) * Math.sqrt(Math.max(0, square))
  const half = a * square / 2
  const tail = 0.5 * (half > 0 ? upperGammaShare(0.5, half) : 1)
  const correction = Math.abs(excess) < NEAR ? -1 / 3 + eta / 12 - 2 * eta * eta / 135 : 1 / excess - 1 / eta
  const rest = Math.exp(-half) / Math.sqrt(2 * Math.PI * a) * correction
  return (eta > 0 ? tail : 1 - tail) + rest
}

/** sum_k x^k / (a (a + 1) ... (a + k)). */
function lowerSeries(a: number, x: number): number {
  let [term, sum] = [1 / a, 1 / a]
  for (let k = 1; k < MOST_TERMS && term > sum * Number.EPSILON; k++) {
    term *= x / (a + k)
    sum += term
  }
  return sum
}

function upperFraction(a: number, x: number): number {
  let b = x + 1 - a
  let [c, d] = [1 / Number.MIN_VALUE, 1 / b]
  let h = d
  for (let k = 1; k < MOST_TERMS; k++) {
    const factor = -k * (k - a)
    b += 2
    d = 1 / (factor * d + b)
    c = b + factor / c
    const step = c * d
    h *= step
    if (Math.abs(step - 1) <= Number.EPSILON) break
  }
  return h
}
