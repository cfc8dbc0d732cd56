/**
 * @file Smooth calibration error (Blasiok and Nakkiran 2023, "Smooth ECE: principled reliability diagrams via kernel
 * smoothing"): no bins, and a bandwidth that the data choose.
 *
 * The residuals r_i = correct_i - confidence_i, each at its confidence f_i, are smoothed with a Gaussian reflected at 0
 * and 1, smECE(s) = integral over 0 <= t <= 1 of |1/n sum_i r_i K_s(t, f_i)|; it falls with s, and the score is
 * smECE(s) = s.
 *
 * The reflected Gaussian is the heat kernel of the unit interval with closed ends, hence diagonal in cosines:
 * K_s(t, f) = 1 + 2 sum_k exp(-(k pi s)^2 / 2) cos(k pi t) cos(k pi f). So n residuals become a few coefficients once.
 */
import type { Decisions } from './decisions.js'

/** A fixed point below this is not sought: calibration is not known so well, and the series would grow without end. */
const LEAST_BANDWIDTH = 1e-3

/** Terms with exp(-(k pi s)^2 / 2) below 1e-14 are left out: (k pi s)^2 / 2 > 32.3. */
const LARGEST_EXPONENT = 32.3

const HALVINGS = 40

/** The smoothed calibration error at its own bandwidth: 0 is perfect. */
export function smoothCalibrationError(decisions: Decisions): number {
  const residuals = decisions.confidence.map((confidence, i) => decisions.correct[i] - confidence)
  if (residuals.every(value => value === 0)) return 0
  const series = cosineSeries(decisions.confidence, residuals)
  // Residuals lie between -1 and 1 and so does the error: it is not above a bandwidth of 1. From there down, as every
  // halving doubles the work.
  let low = 1 / 2
  while (low >= LEAST_BANDWIDTH && smoothedError(series, low) <= low) low /= 2
  if (low < LEAST_BANDWIDTH) return smoothedError(series, LEAST_BANDWIDTH)
  let high = 2 * low
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2
    if (smoothedError(series, middle) > middle) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Gives a_k = 1/n sum_i r_i cos(k pi f_i) for k < count. */
type CosineSeries = (count: number) => readonly number[]

/** Coefficients are made when they are asked for; by cos((k + 1) x) = 2 cos(x) cos(k x) - cos((k - 1) x). */
function cosineSeries(places: Float64Array, weights: Float64Array): CosineSeries {
  const n = places.length
  const first = places.map(f => Math.cos(Math.PI * f))
  const before = first.slice()
  const now = new Float64Array(n).fill(1)
  const coefficients: number[] = []
  return count => {
    while (coefficients.length < count) {
      let sum = 0
      for (let i = 0; i < n; i++) {
        const value = now[i]
        sum += weights[i] * value
        now[i] = 2 * first[i] * value - before[i]
        before[i] = value
      }
      coefficients.push(sum / n)
    }
    return coefficients
  }
}

/**
 * The integral of |g|, g the smoothed residuals: the total variation of g's antiderivative
 * G(t) = a_0 t + 2 sum_k a_k exp(-(k pi s)^2 / 2) sin(k pi t) / (k pi).
 */
function smoothedError(series: CosineSeries, bandwidth: number): number {
  const count = 1 + Math.ceil(Math.sqrt(2 * LARGEST_EXPONENT) / (Math.PI * bandwidth))
  const coefficients = series(count)
  const damped = Float64Array.from(
    { length: count },
    (_, k) => k === 0 ? 0 : 2 * coefficients[k] * Math.exp(-((k * Math.PI * bandwidth) ** 2) / 2) / (k * Math.PI),
  )
  const steps = Math.max(1000, Math.ceil(10 / bandwidth))
  let [previous, before, variation] = [0, 0, 0]
  for (let i = 1; i <= steps; i++) {
    const value = coefficients[0] * i / steps + sineSum(damped, Math.PI * i / steps)
    const rise = value - previous
    variation += Math.abs(rise) + (rise * before < 0 ? 2 * beyond(before, rise) : 0)
    previous = value
    before = rise
  }
  return variation
}

/**
 * How far a parabola through three places goes beyond the middle one, where it turns: its rises have opposite signs.
 */
function beyond(first: number, second: number): number {
  return (first + second) ** 2 / (8 * Math.abs(second - first))
}

/** sum_k b_k sin(k x), by Clenshaw's recurrence. */
function sineSum(b: Float64Array, x: number): number {
  const twice = 2 * Math.cos(x)
  let [next, afterNext] = [0, 0]
  for (let k = b.length - 1; k >= 1; k--) {
    const here = b[k] + twice * next - afterNext
    afterNext = next
    next = here
  }
  return next * Math.sin(x)
}
