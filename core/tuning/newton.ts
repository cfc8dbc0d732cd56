/** @file Maximises a function of a few variables by Newton's method, damped where it is not concave. */
import { cholesky } from '../kernels/linear-algebra.js'
import { type SmallSolver, solveByCholesky } from '../kernels/small-solver.js'
import { HIGHEST_PRECISION } from './bounds.js'
import type { EvidenceFunction, EvidencePoint } from './evidence.js'

/** No logarithm goes above this bound. */
const HIGHEST = Math.log(HIGHEST_PRECISION)

/** A step changes no hyper-parameter by more than this factor of e. */
const LONGEST_STEP = 3

const MOST_STEPS = 200

/** Converged: the step moves no logarithm by more than this. */
const TOLERANCE = 1e-12

/** Where a search ended. */
export interface Maximum {
  readonly point: Float64Array
  readonly steps: number
  readonly converged: boolean
}

/** The maximum that is reached from `start`. */
export function maximise(target: EvidenceFunction, start: Float64Array,
  solver: SmallSolver = solveByCholesky): Maximum {
  const clamp = (value: number, i: number): number => Math.min(HIGHEST, Math.max(target.lowest[i], value))
  let point: Float64Array = start.map(clamp)
  let current = target.at(point, true)
  let damping = 0
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const { step, damping: used } = ascent(current, freeVariables(target, point, current.gradient), damping, solver)
    const next = point.map((value, i) => clamp(value + step[i], i))
    const moved = next.reduce((most, value, i) => Math.max(most, Math.abs(value - point[i])), 0)
    const reached = target.at(next, true)
    if (moved <= TOLERANCE) return { point: reached.value > current.value ? next : point, steps, converged: true }
    const slack = 1e-13 * Math.abs(current.value)
    if (reached.value >= current.value - slack) {
      point = next
      current = reached
      damping = used / 8 < 1e-8 ? 0 : used / 8
    } else {
      damping = Math.max(1e-6 * scaleOf(current), 8 * used)
      if (damping > 1e16 * scaleOf(current)) return { point, steps, converged: true }
    }
  }
  return { point, steps: MOST_STEPS, converged: false }
}

function scaleOf({ hessian, gradient }: EvidencePoint): number {
  const n = gradient.length
  let scale = 1e-300
  for (let i = 0; i < n; i++) scale = Math.max(scale, Math.abs(hessian[i * n + i]), Math.abs(gradient[i]))
  return scale
}

/** Variables that are not held at a bound by their gradient. */
function freeVariables({ lowest }: EvidenceFunction, point: Float64Array, gradient: Float64Array): boolean[] {
  return Array.from(point,
    (value, i) => !((value <= lowest[i] && gradient[i] < 0) || (value >= HIGHEST && gradient[i] > 0)))
}

/** (-H + damping I)^-1 gradient over the free variables, with as much damping as makes the matrix positive definite. */
function ascent(at: EvidencePoint, free: readonly boolean[], least: number,
  solver: SmallSolver): { step: Float64Array, damping: number } {
  const n = at.gradient.length
  const right = at.gradient.map((value, i) => (free[i] ? value : 0))
  for (let damping = least;; damping = Math.max(2e-3 * scaleOf(at), 4 * damping)) {
    const matrix = at.hessian.map(value => -value)
    for (let i = 0; i < n; i++) {
      matrix[i * n + i] += damping
      if (free[i]) continue
      for (let j = 0; j < n; j++) matrix[i * n + j] = matrix[j * n + i] = 0
      matrix[i * n + i] = 1
    }
    const step = positiveDefinite(n, matrix) ? solver(n, matrix, right) ?? solveByCholesky(n, matrix, right) : undefined
    if (step === undefined) continue
    const longest = step.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    return { step: longest > LONGEST_STEP ? step.map(value => value * LONGEST_STEP / longest) : step, damping }
  }
}

function positiveDefinite(n: number, matrix: Float64Array): boolean {
  return cholesky(n, matrix.slice()) < 0
}
