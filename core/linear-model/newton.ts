/**
 * @file Newton's method for the mode of a linear model, whose outputs are linear in what is sought: a step is halved
 * without another product with the Jacobian, and Newton's system is solved only as well as the step deserves
 * (Dembo, Eisenstat and Steihaug 1982).
 */
import { breathe, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { NumericalError } from '../errors/errors.js'

/** A point on the way to the mode. */
export interface NewtonPoint {
  /** N x C. */
  readonly f: Float64Array
  /** What is minimised. */
  readonly objective: number
}

/** A step from a point; `at` gives the point at a share of it. */
export interface NewtonStep<Point extends NewtonPoint> {
  readonly at: (length: number) => Point
}

/** Largest change of an output in the last step, relative to the largest output: the error left is far smaller. */
export const MODE_TOLERANCE = 1e-7
const MOST_STEPS = 200
const SHORTEST_STEP = 1e-9
/** The residual of Newton's system relative to the gradient: far from the mode, and near it. */
const LOOSE_FORCING = 0.1
const FORCING = 1e-3

/** Products with a matrix of n unknowns after which a new factor of it is cheaper. */
export function productsWorth(unknowns: number): number {
  return Math.max(4, Math.ceil(unknowns / 80))
}

/** Where a search ends that may cost so much only. */
export interface StepLimit {
  readonly steps: number
  /** Called where the point that is returned is not the mode yet. */
  readonly reached: () => void
}

/**
 * The mode, sought from a point.
 * @param step Newton's step, its system solved to the relative accuracy `forcing`
 * @param limit instead of an error after many steps
 * @throws NumericalError NO_CONVERGENCE; CancelledError
 */
export async function newtonMode<Point extends NewtonPoint>(start: Point, tolerance: number, { signal }: WorkOptions,
  step: (from: Point, forcing: number) => Promise<NewtonStep<Point>>, limit?: StepLimit): Promise<Point> {
  let point = start
  let forcing = LOOSE_FORCING
  for (let k = 0; k < (limit?.steps ?? MOST_STEPS); k++) {
    throwIfCancelled(signal)
    await breathe()
    const { next, length } = descend(point, await step(point, forcing))
    // A step that had to be cut says nothing of how far the mode is.
    const moved = distance(next.f, point.f) / (length * Math.max(1, largest(next.f)))
    point = next
    if (moved < tolerance) return point
    forcing = Math.max(FORCING, Math.min(LOOSE_FORCING, moved))
  }
  if (limit !== undefined) {
    limit.reached()
    return point
  }
  throw new NumericalError('NO_CONVERGENCE',
    `The mode of the linear model over all weights was not found in ${MOST_STEPS} Newton steps. `
      + "Use subset 'last_layer', or give priorPrecision.", { steps: MOST_STEPS })
}

/**
 * The point at the share of the step that descends most among 1, 1/2, 1/4, ...: far from the mode the first that
 * descends at all often lies beyond it.
 */
function descend<Point extends NewtonPoint>(from: Point, { at }: NewtonStep<Point>): { next: Point, length: number } {
  // Smaller differences are rounding.
  const least = 1e-10 * Math.abs(from.objective)
  let length = 1
  let next = at(length)
  while (!(next.objective <= from.objective + least) && length > SHORTEST_STEP) next = at(length /= 2)
  for (;;) {
    const shorter = at(length / 2)
    if (!(shorter.objective < next.objective - least) || length < SHORTEST_STEP) return { next, length }
    next = shorter
    length /= 2
  }
}

function distance(a: Float64Array, b: Float64Array): number {
  let most = 0
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]))
  return most
}

function largest(values: Float64Array): number {
  let most = 0
  for (const value of values) most = Math.max(most, Math.abs(value))
  return most
}
