/**
 * @file The linear model in weight space, for networks with fewer weights than outputs of training rows: Newton's
 * method on w with H = sum_n J_n' Lambda_n J_n, P x P.
 */
import type { WorkOptions } from '../budget/progress.js'
import { accumulateFull } from '../curvature/full.js'
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { denseJacobian } from '../curvature/jacobian.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import { layeredBlocks, layeredHessian, type PlainLayer, plainLayers } from '../curvature/plain-layers.js'
import { asFloat64 } from '../curvature/real.js'
import { NumericalError } from '../errors/errors.js'
import { jitteredCholesky } from '../kernels/jittered-cholesky.js'
import { choleskyInverse, gemm, inverseTrace, triangularSolve } from '../kernels/linear-algebra.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { conjugateGradients, dot } from './conjugate-gradients.js'
import { hessianRoots, rootTimes, transposedRootTimes } from './hessian-roots.js'
import { leadingEigenpairs } from './leading-eigenpairs.js'
import { found, type LinearMode, type LinearProblem, type LinearSpace, problemSize,
  transposedTimes } from './linear-problem.js'
import { MODE_TOLERANCE, newtonMode, type NewtonStep, productsWorth } from './newton.js'

/** Numbers of one block of Jacobian rows. */
const BLOCK_NUMBERS = 1 << 22

/** A point on the way to the mode, and the mode itself. */
interface WeightPoint extends LinearMode {
  readonly delta: number
  /** w - mu. */
  readonly w: Float64Array
  readonly objective: number
}

/** The linear model in weight space. */
export function weightSpace(problem: LinearProblem, work: WorkOptions = {}): LinearSpace {
  const size = problemSize(problem)
  const layers = plainLayers(problem.slots, problem.jacobian)
  let last: WeightPoint | undefined
  let hessian: Float64Array | undefined
  let lower: Float64Array | undefined
  // That of some point before: a preconditioner needs no more.
  let nearby: Float64Array | undefined
  const curvature = (): Float64Array => (hessian ??= hessianAt(problem, layers, found(last).f))
  const factor = (): Float64Array => (lower = nearby = lower ?? choleskyWith(curvature(), found(last).delta))
  return {
    mode: async (delta, tolerance = MODE_TOLERANCE) => {
      hessian = lower = undefined
      const start = last === undefined
        ? pointAt(problem, delta, problem.deviation, problem.f)
        : pointAt(problem, delta, last.w, last.f)
      return (last = await newtonMode(start, tolerance, work, async (from, forcing) => {
        const { direction, near } = await newtonDirection(problem, layers, from, forcing, nearby)
        nearby = near
        return stepFrom(problem, from, direction)
      }))
    },
    effectiveParameters: () => size - found(last).delta * inverseTrace(size, factor()),
    logDetRatio: () => {
      let sum = -size * Math.log(found(last).delta)
      for (let i = 0; i < size; i++) sum += 2 * Math.log(factor()[i * size + i])
      return sum
    },
    covariances: () =>
      layers === undefined
        ? rowCovariances(problem, problem.jacobian, factor())
        : layeredBlocks(layers, problem.jacobian, choleskyInverse(size, factor())),
    elsewhere: rows => {
      const moved = jacobianTimes(rows.jacobian, splitVectors(problem.slots, found(last).w, 1))
      return { f: rows.f0.map((value, i) => value + moved[i]),
        covariance: rowCovariances(problem, rows.jacobian, factor()) }
    },
    weights: () => found(last).w.slice(),
    factor: (threshold, most) => {
      const { delta } = found(last)
      const { values, vectors } = leadingEigenpairs(size, curvature(), threshold * delta, most)
      const rows = vectors.map((value, i) => {
        const l = values[Math.floor(i / size)]
        return value * Math.sqrt(l / (l + delta))
      })
      return { rank: values.length, rows }
    },
  }
}

function pointAt({ likelihood, labels, examples, outputs }: LinearProblem, delta: number, w: Float64Array,
  f: Float64Array): WeightPoint {
  const loss = likelihood.loss(f, labels, examples, outputs)
  const squaredNorm = dot(w, w)
  return { delta, w, f, loss, squaredNorm, objective: loss + delta / 2 * squaredNorm }
}

function stepFrom(problem: LinearProblem, { delta, w, f }: WeightPoint,
  direction: Float64Array): NewtonStep<WeightPoint> {
  const image = jacobianTimes(problem.jacobian, splitVectors(problem.slots, direction, 1))
  return {
    at: length =>
      pointAt(problem, delta, w.map((value, i) => value - length * direction[i]), f.map((value, i) =>
        value - length * image[i]
      )),
  }
}

/**
 * (H + delta)^-1 (J' residual + delta w), by conjugate gradients with the factor of a point nearby, or with a new
 * one.
 */
async function newtonDirection(problem: LinearProblem, layers: readonly PlainLayer[] | undefined,
  { f, w, delta }: WeightPoint, forcing: number,
  nearby: Float64Array | undefined): Promise<{ direction: Float64Array, near: Float64Array }> {
  const { likelihood, labels, examples, outputs, slots, jacobian } = problem
  const gradient = transposedTimes(problem, likelihood.residual(f, labels, examples, outputs))
  for (let i = 0; i < w.length; i++) gradient[i] += delta * w[i]
  if (nearby !== undefined) {
    const root = hessianRoots(problem, f)
    const { x, converged } = await conjugateGradients({
      times: v => {
        const image = jacobianTimes(jacobian, splitVectors(slots, v, 1))
        const product = transposedTimes(problem, rootTimes(root, transposedRootTimes(root, image, outputs), outputs))
        for (let i = 0; i < v.length; i++) product[i] += delta * v[i]
        return product
      },
      precondition: v => solved(nearby, v),
    }, gradient, forcing, productsWorth(w.length))
    if (converged) return { direction: x, near: nearby }
  }
  const near = choleskyWith(hessianAt(problem, layers, f), delta)
  return { direction: solved(near, gradient), near }
}

/** (L L')^-1 v. */
function solved(lower: Float64Array, v: Float64Array): Float64Array {
  const x = v.slice()
  triangularSolve(false, x.length, 1, lower, x)
  triangularSolve(true, x.length, 1, lower, x)
  return x
}

/** sum_n J_n' Lambda_n J_n, P x P. */
function hessianAt(problem: LinearProblem, layers: readonly PlainLayer[] | undefined, f: Float64Array): Float64Array {
  const size = problemSize(problem)
  const { rank, roots } = hessianRoots(problem, f)
  if (layers !== undefined) return layeredHessian(layers, problem.jacobian, roots, rank, size)
  const matrix = new Float64Array(size * size)
  accumulateFull(matrix, size, problem.slots, withRoots(problem.jacobian, roots, rank))
  return matrix
}

/** The Jacobian with the seeds R' in place of one-hot ones: K x N rows R_n' J_n. */
function withRoots(jacobian: FactoredJacobian, roots: Float64Array, rank: number): FactoredJacobian {
  const { seeds, examples } = jacobian
  const mix = (values: LinearFactor['g']): Float64Array => {
    const width = values.length / (seeds * examples)
    const mixed = new Float64Array(rank * examples * width)
    const rows = asFloat64(values)
    for (let n = 0; n < examples; n++) {
      for (let c = 0; c < seeds; c++) {
        const from = (c * examples + n) * width
        for (let k = 0; k < rank; k++) {
          const root = roots[(n * seeds + c) * rank + k]
          if (root === 0) continue
          const to = (k * examples + n) * width
          for (let i = 0; i < width; i++) mixed[to + i] += root * rows[from + i]
        }
      }
    }
    return mixed
  }
  const factors = jacobian.factors.map(factor => (factor.kind === 'direct'
    ? { ...factor, gradient: mix(factor.gradient) }
    : { ...factor, a: asFloat64(factor.a), g: mix(factor.g) })
  )
  return { seeds: rank, examples, factors }
}

/** The Cholesky factor of H + delta. */
function choleskyWith(hessian: Float64Array, delta: number): Float64Array {
  const size = Math.sqrt(hessian.length)
  const factored = jitteredCholesky(size, () => {
    const precision = hessian.slice()
    for (let i = 0; i < size; i++) precision[i * size + i] += delta
    return precision
  })
  if ('lower' in factored) return factored.lower
  const { pivot } = factored
  throw new NumericalError('NOT_POSITIVE_DEFINITE',
    `The curvature of the linear model over all weights swamps its prior precision ${delta} at weight ${pivot}. `
      + "Scale the network's inputs, use subset 'last_layer', or give priorPrecision.", { pivot, delta })
}

/** J_n P^-1 J_n', N x C x C. */
function rowCovariances({ slots, outputs }: LinearProblem, jacobian: FactoredJacobian,
  lower: Float64Array): Float64Array {
  const { examples } = jacobian
  const size = Math.sqrt(lower.length)
  const result = new Float64Array(examples * outputs * outputs)
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (size * outputs)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = denseJacobian(slots, jacobian, from, to)
    const columns = (to - from) * outputs
    const solved = new Float64Array(rows.length)
    for (let i = 0; i < columns; i++) for (let j = 0; j < size; j++) solved[j * columns + i] = rows[i * size + j]
    triangularSolve(false, size, columns, lower, solved)
    for (let i = 0; i < columns; i++) for (let j = 0; j < size; j++) rows[i * size + j] = solved[j * columns + i]
    for (let n = from; n < to; n++) {
      const own = rows.subarray((n - from) * outputs * size, (n - from + 1) * outputs * size)
      const block = result.subarray(n * outputs * outputs, (n + 1) * outputs * outputs)
      gemm(false, true, outputs, outputs, size, 1, own, own, 0, block)
    }
  }
  return result
}
