/**
 * @file The prior precision of a linear model at its own mode: MacKay's fixed point delta = gamma / |w|^2 (MacKay
 * 1992).
 */
import { breathe, shareOfRounds, shareReporter, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { LinearMode, LinearSpace } from './linear-problem.js'
import { MODE_TOLERANCE } from './newton.js'

/** Beyond these bounds a prior is off, or pins the weights. */
const LOWEST_DELTA = 1e-4
/** Its other end. */
export const HIGHEST_DELTA = 1e5
const MOST_ROUNDS = 60
const USUAL_ROUNDS = 6
/** Largest change of log delta in the last round. */
const TOLERANCE = 1e-6
/**
 * How well the first mode is sought; then a share of the last residual, as a Newton step leaves an error far below
 * its own length.
 */
const FIRST_TOLERANCE = 0.03
const SHARE_OF_RESIDUAL = 0.03

/** A prior precision and the mode that belongs to it. */
export interface TunedMode {
  readonly delta: number
  readonly mode: LinearMode
  readonly effectiveParameters: number
  readonly converged: boolean
}

/**
 * The fixed point that is reached from delta = 1: plain steps, with a secant step where two residuals allow one.
 * @param start where it is sought from: near it where that is known
 * @param onShare is told how much of the search is done, as far as the rounds tell
 * @throws NumericalError NO_CONVERGENCE; CancelledError
 */
export async function tuneDelta(space: LinearSpace, work: WorkOptions, start = 1,
  onShare = shareReporter(work, 'tune')): Promise<TunedMode> {
  let logDelta = Math.log(start)
  let before: { readonly at: number, readonly residual: number } | undefined
  let tolerance = FIRST_TOLERANCE
  for (let round = 0; round < MOST_ROUNDS; round++) {
    await breathe()
    throwIfCancelled(work.signal)
    onShare(shareOfRounds(round, USUAL_ROUNDS))
    const mode = await space.mode(Math.exp(logDelta), tolerance)
    const gamma = space.effectiveParameters()
    const residual = boundedLogDelta(Math.log(gamma / mode.squaredNorm)) - logDelta
    const done = Math.abs(residual) < TOLERANCE
    if (done && tolerance <= 10 * MODE_TOLERANCE) {
      return { delta: Math.exp(logDelta), mode, effectiveParameters: gamma, converged: true }
    }
    tolerance = Math.min(FIRST_TOLERANCE, Math.max(MODE_TOLERANCE, SHARE_OF_RESIDUAL * Math.abs(residual)))
    if (done) tolerance = MODE_TOLERANCE
    const step = secantStep(logDelta, residual, before)
    before = { at: logDelta, residual }
    if (!done) logDelta = boundedLogDelta(logDelta + step)
  }
  const mode = await space.mode(Math.exp(logDelta))
  return { delta: Math.exp(logDelta), mode, effectiveParameters: space.effectiveParameters(), converged: false }
}

/** Within the range of precisions. */
export function boundedLogDelta(logDelta: number): number {
  const value = Number.isNaN(logDelta) ? Math.log(HIGHEST_DELTA) : logDelta
  return Math.min(Math.log(HIGHEST_DELTA), Math.max(Math.log(LOWEST_DELTA), value))
}

/**
 * The root of the line through the last two residuals while it lies in the direction of the plain step, and not far
 * beyond it.
 */
export function secantStep(at: number, residual: number,
  before: { readonly at: number, readonly residual: number } | undefined): number {
  if (before === undefined || before.at === at) return residual
  const slope = (residual - before.residual) / (at - before.at)
  const step = -residual / slope
  return slope < 0 && step / residual > 0 && step / residual < 10 ? step : residual
}
