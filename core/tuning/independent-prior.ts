/**
 * @file One prior precision for each parameter of a diagonal posterior: the evidence separates, and each maximum has a
 * closed form.
 */
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import type { DataFit } from '../posterior/evidence.js'
import { deviation, type StructuredPosterior } from '../posterior/posterior.js'
import { joined } from '../tensor/joined.js'
import { HIGHEST_PRECISION, LOWEST_PRECISION } from './bounds.js'

const MOST_ROUNDS = 500
const TOLERANCE = 1e-12

/**
 * The maximum over delta_i is the positive root of delta^2 q + delta q h - h = 0 with h = H_ii / (sigma^2 T) and
 * q = (theta_i - mu_i)^2; for the noise, sigma^2 = 2 loss / (T (N C - gamma)) with gamma = sum h / (h + delta), not
 * below a floor. The two are taken in turn until nothing moves.
 * @param leastNoise the least sigma, where the noise is tuned
 */
export function tuneIndependentPrior(posterior: StructuredPosterior, data: DataFit,
  leastNoise: number | undefined): PosteriorSettings {
  // Of a diagonal H alone: eigenvalues of any other are not in theta's order, and would be paired with wrong squares.
  const h = joined(posterior.spectrum().values)
  const squares = deviation(posterior.mean, posterior.settings).map(d => d * d)
  let settings = posterior.settings
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const scale = hessianFactor(settings)
    const precision = h.map((value, i) => bestPrecision(scale * value, squares[i]))
    settings = { ...settings, priorPrecision: precision }
    if (leastNoise === undefined) break
    const gamma = h.reduce((sum, value, i) => sum + scale * value / (scale * value + precision[i]), 0)
    const freedom = Math.max(1, data.examples * data.outputs - gamma)
    const noise = Math.max(leastNoise, Math.sqrt(2 * data.loss / (settings.temperature * freedom)))
    const moved = Math.abs(Math.log(noise / settings.sigmaNoise))
    settings = { ...settings, sigmaNoise: noise }
    if (moved < TOLERANCE) break
  }
  return settings
}

function bestPrecision(h: number, q: number): number {
  const root = q > 0 ? 2 * h / (q * h + Math.sqrt(q * h * (q * h + 4))) : Infinity
  return Math.min(HIGHEST_PRECISION, Math.max(LOWEST_PRECISION, Number.isNaN(root) ? LOWEST_PRECISION : root))
}
