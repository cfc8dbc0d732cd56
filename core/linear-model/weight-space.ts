/**
 * @file The linear model in weight space, for networks with fewer weights than outputs of training rows: Newton's method on
 * w with H = sum_n J_n' Lambda_n J_n, P x P.
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { accumulateFull } from '../curvature/full.js'
import { jacobianTimes, splitVectors } from '../curvature/jacobian-products.js'
import { denseJacobian } from '../curvature/jacobian.js'
import { asFloat64 } from '../curvature/real.js'
import { NumericalError } from '../errors/errors.js'
import { cholesky, gemm, triangularInverse, triangularSolve } from '../kernels/linear-algebra.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { leadingEigenpairs } from './leading-eigenpairs.js'
import { hessianRoots, type LinearMode, type LinearProblem, type LinearSpace, problemSize,
  transposedTimes } from './linear-problem.js'

const MOST_STEPS = 200
/** Largest change of an output in the last step; the error left is about its square. */
const TOLERANCE = 1e-7
const SHORTEST_STEP = 1e-9
/** Numbers of one block of Jacobian rows. */
const BLOCK_NUMBERS = 1 << 22

interface WeightMode extends LinearMode {
  readonly delta: number
  /** w - mu. */
  readonly w: Float64Array
}

/** The linear model in weight space. */
export function weightSpace(problem: LinearProblem, work: WorkOptions = {}): LinearSpace {
  const size = problemSize(problem)
  let last: WeightMode | undefined
  let hessian: Float64Array | undefined
  let lower: Float64Array | undefined
  const current = (): WeightMode => last ?? newton(problem, 1, new Float64Array(size), work)
  const curvature = (): Float64Array => (hessian ??= hessianAt(problem, current().f))
  const factor = (): Float64Array => (lower ??= choleskyWith(curvature(), current().delta))
  return {
    mode: delta => {
      hessian = lower = undefined
      return (last = newton(problem, delta, last?.w ?? new Float64Array(size), work))
    },
    effectiveParameters: () => {
      const inverse = triangularInverse(size, factor())
      return size - current().delta * inverse.reduce((sum, value) => sum + value * value, 0)
    },
    logDetRatio: () => {
      let sum = -size * Math.log(current().delta)
      for (let i = 0; i < size; i++) sum += 2 * Math.log(factor()[i * size + i])
      return sum
    },
    covariances: () => rowCovariances(problem, problem.jacobian, factor()),
    elsewhere: rows => {
      const moved = jacobianTimes(rows.jacobian, splitVectors(problem.slots, current().w, 1))
      return { f: rows.f0.map((value, i) => value + moved[i]),
        covariance: rowCovariances(problem, rows.jacobian, factor()) }
    },
    weights: () => current().w.slice(),
    factor: threshold => {
      const { delta } = current()
      const { values, vectors } = leadingEigenpairs(size, curvature(), threshold * delta)
      const rows = vectors.map((value, i) => {
        const l = values[Math.floor(i / size)]
        return value * Math.sqrt(l / (l + delta))
      })
      return { rank: values.length, rows }
    },
  }
}

interface NewtonState extends WeightMode {
  readonly objective: number
}

function stateAt({ likelihood, labels, slots, f0, jacobian, examples, outputs }: LinearProblem, delta: number,
  w: Float64Array): NewtonState {
  const moved = jacobianTimes(jacobian, splitVectors(slots, w, 1))
  const f = f0.map((value, i) => value + moved[i])
  const loss = likelihood.loss(f, labels, examples, outputs)
  const squaredNorm = w.reduce((sum, value) => sum + value * value, 0)
  return { delta, w, f, loss, squaredNorm, objective: loss + delta / 2 * squaredNorm }
}

function newton(problem: LinearProblem, delta: number, start: Float64Array, { signal }: WorkOptions): NewtonState {
  const { likelihood, labels, examples, outputs } = problem
  const size = start.length
  let state = stateAt(problem, delta, start)
  for (let step = 0; step < MOST_STEPS; step++) {
    throwIfCancelled(signal)
    const direction = transposedTimes(problem, likelihood.residual(state.f, labels, examples, outputs))
    for (let i = 0; i < size; i++) direction[i] += delta * state.w[i]
    const lower = choleskyWith(hessianAt(problem, state.f), delta)
    triangularSolve(false, size, 1, lower, direction)
    triangularSolve(true, size, 1, lower, direction)
    let length = 1
    let next = state
    do {
      next = stateAt(problem, delta, state.w.map((value, i) => value - length * direction[i]))
      length /= 2
    } while (!(next.objective <= state.objective + 1e-10 * Math.abs(state.objective)) && length > SHORTEST_STEP)
    const moved = next.f.reduce((most, value, i) => Math.max(most, Math.abs(value - state.f[i])), 0)
    const scale = state.f.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
    state = next
    if (moved < TOLERANCE * scale) return state
  }
  throw new NumericalError('NO_CONVERGENCE',
    `The mode of the linear model over all weights was not found in ${MOST_STEPS} Newton steps. `
      + "Use subset 'last_layer', or give priorPrecision.", { steps: MOST_STEPS })
}

/** sum_n J_n' Lambda_n J_n, P x P. */
function hessianAt(problem: LinearProblem, f: Float64Array): Float64Array {
  const size = problemSize(problem)
  const { rank, roots } = hessianRoots(problem, f)
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
  const lower = hessian.slice()
  for (let i = 0; i < size; i++) lower[i * size + i] += delta
  const pivot = cholesky(size, lower)
  if (pivot < 0) return lower
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
