/**
 * @file The mode of the last layer's linear model: the minimum of s loss(w) + 1/2 sum delta_i (w_i - mu_i)^2, which is
 * convex. Newton's method with a Cholesky factor while that is cheap, by conjugate gradients with a Kronecker
 * preconditioner beyond.
 */
import { type CancelSignal, throwIfCancelled } from '../budget/progress.js'
import { NumericalError } from '../errors/errors.js'
import { cholesky, gemm, symmetricEigen, triangularSolve } from '../kernels/linear-algebra.js'
import { conjugateGradients } from '../linear-model/conjugate-gradients.js'
import type { LinearModel } from './linear-model.js'
import { spectralInverse } from './precision-inverse.js'

/** The mode of the linear model, and what it predicts there. */
export interface LinearMode {
  readonly w: Float64Array
  /** f_lin(w), N x C. */
  readonly f: Float64Array
  readonly loss: number
}

/** What is minimised: s, delta and mu of every weight. */
export interface LinearObjective {
  readonly scale: number
  readonly precision: Float64Array
  readonly priorMean: Float64Array
}

/** Up to this many weights the Hessian is formed. */
const LARGEST_DENSE = 700
const MOST_STEPS = 500
const MOST_HALVINGS = 60
/** The residual of conjugate gradients relative to the gradient: far from the mode and near it. */
const LOOSE_FORCING = 0.3
const FORCING = 1e-2
const MOST_GRADIENT_STEPS = 400

/**
 * The mode, from a starting point.
 * @param tolerance largest change of a weight, relative to the largest weight, in the last step
 * @throws NumericalError NO_CONVERGENCE; CancelledError
 */
export async function linearMode(model: LinearModel, objective: LinearObjective, start: Float64Array, tolerance = 1e-12,
  signal?: CancelSignal): Promise<LinearMode> {
  let w = start
  let f = model.outputsAt(w)
  let loss = model.loss(f)
  let value = total(objective, w, loss)
  let forcing = LOOSE_FORCING
  for (let step = 0; step < MOST_STEPS; step++) {
    throwIfCancelled(signal)
    const gradient = model.gradient(f).map((g, i) =>
      objective.scale * g + objective.precision[i] * (w[i] - objective.priorMean[i])
    )
    const direction = model.size <= LARGEST_DENSE
      ? denseStep(model, objective, f, gradient)
      : await conjugateGradientStep(model, objective, f, gradient, forcing)
    let length = 1
    let next = w
    let moved = 0
    for (let halving = 0;; halving++) {
      next = w.map((value, i) => value - length * direction[i])
      f = model.outputsAt(next)
      loss = model.loss(f)
      moved = length * largest(direction)
      const reached = total(objective, next, loss)
      if (reached <= value + 1e-12 * Math.abs(value) || halving === MOST_HALVINGS) {
        value = reached
        break
      }
      length /= 2
    }
    w = next
    forcing = Math.max(FORCING, Math.min(LOOSE_FORCING, moved / Math.max(1e-300, largest(w))))
    if (moved <= tolerance * Math.max(1, largest(w))) return { w, f, loss }
  }
  throw new NumericalError('NO_CONVERGENCE',
    `The mode of the last layer's linear model was not found in ${MOST_STEPS} Newton steps. ` +
      "Scale the features, or tune by 'marglik' or 'grid'.", { steps: MOST_STEPS })
}

function total({ scale, precision, priorMean }: LinearObjective, w: Float64Array, loss: number): number {
  let penalty = 0
  for (let i = 0; i < w.length; i++) penalty += precision[i] * (w[i] - priorMean[i]) ** 2
  return scale * loss + penalty / 2
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

function denseStep(model: LinearModel, { scale, precision }: LinearObjective, f: Float64Array,
  gradient: Float64Array): Float64Array {
  const { size } = model
  const hessian = model.hessian(f)
  const matrix = hessian.map(value => scale * value)
  for (let i = 0; i < size; i++) matrix[i * size + i] += precision[i]
  const step = gradient.slice()
  if (cholesky(size, matrix) >= 0) {
    gemm(false, false, size, 1, size, 1, spectralInverse(hessian, size, scale, precision).inverse, gradient, 0, step)
    return step
  }
  triangularSolve(false, size, 1, matrix, step)
  triangularSolve(true, size, 1, matrix, step)
  return step
}

/** Preconditioned by the Kronecker factors: (s B kron phi1'phi1 / N + delta)^-1 in their eigenbases. */
async function conjugateGradientStep(model: LinearModel, { scale, precision }: LinearObjective, f: Float64Array,
  gradient: Float64Array, forcing: number): Promise<Float64Array> {
  const product = model.hessianTimes(f)
  const times = (v: Float64Array): Float64Array => product(v).map((value, i) => scale * value + precision[i] * v[i])
  const precondition = kroneckerPreconditioner(model, scale, precision, f)
  const { x } = await conjugateGradients({ times, precondition }, gradient, forcing, MOST_GRADIENT_STEPS)
  return x
}

function kroneckerPreconditioner(model: LinearModel, scale: number, precision: Float64Array,
  f: Float64Array): (v: Float64Array) => Float64Array {
  const { outputs, width, examples, indices, likelihood } = model
  const b = symmetricEigen(outputs, likelihood.sumHessian(f, examples, outputs))
  const a = model.gramEigen()
  const mean = precision.reduce((sum, value) => sum + value, 0) / precision.length
  const inverse = new Float64Array(outputs * width)
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < width; i++) {
      inverse[o * width + i] = 1 /
        (scale * Math.max(0, b.values[o]) * Math.max(0, a.values[i]) / examples + mean)
    }
  }
  return v => {
    const matrix = Float64Array.from(indices, at => v[at])
    const half = new Float64Array(matrix.length)
    const rotated = new Float64Array(matrix.length)
    gemm(false, false, outputs, width, width, 1, matrix, a.vectors, 0, half)
    gemm(true, false, outputs, width, outputs, 1, b.vectors, half, 0, rotated)
    for (let i = 0; i < rotated.length; i++) rotated[i] *= inverse[i]
    gemm(false, false, outputs, width, outputs, 1, b.vectors, rotated, 0, half)
    gemm(false, true, outputs, width, width, 1, half, a.vectors, 0, matrix)
    const result = new Float64Array(v.length)
    for (let i = 0; i < matrix.length; i++) result[indices[i]] = matrix[i]
    return result
  }
}
