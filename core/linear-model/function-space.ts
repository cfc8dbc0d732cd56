/**
 * @file The linear model in function space: w - mu = J' alpha / delta, so that all is said by the Gram matrix K = J J'
 * (N C x N C). Newton's step needs I + S with S = R' K R / delta, of size N rank(Lambda) (Rasmussen and Williams 2006,
 * chapter 3.5, with R R' = Lambda).
 */
import type { WorkOptions } from '../budget/progress.js'
import { jacobianGram, ownGram } from '../curvature/jacobian-gram.js'
import { addTransposedProduct } from '../curvature/jacobian-products.js'
import { joinVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import { NumericalError } from '../errors/errors.js'
import { pauseInLoop } from '../kernels/interruption.js'
import { cholesky, gemm, inverseTrace, matrixTimes, triangularSolve } from '../kernels/linear-algebra.js'
import { joined } from '../tensor/joined.js'
import { conjugateGradients, dot } from './conjugate-gradients.js'
import { type HessianRoots, hessianRoots, rootTimes, transposedRootTimes } from './hessian-roots.js'
import { leadingEigenpairs } from './leading-eigenpairs.js'
import { found, type LinearMode, type LinearProblem, type LinearSpace, type OtherRows, type OutputsElsewhere,
  transposedTimes } from './linear-problem.js'
import { MODE_TOLERANCE, newtonMode, type NewtonStep, productsWorth } from './newton.js'

/** A point on the way to the mode, and the mode itself. */
interface FunctionPoint extends LinearMode {
  readonly delta: number
  readonly alpha: Float64Array
  /** K alpha / delta = f - f0. */
  readonly moved: Float64Array
  readonly objective: number
}

/** What is known at a mode: the roots of Lambda and the Cholesky factor of I + S. */
interface Curved extends HessianRoots {
  readonly delta: number
  readonly lower: Float64Array
}

/** The linear model in function space. */
export function functionSpace(problem: LinearProblem, work: WorkOptions = {}): LinearSpace {
  const gram = jacobianGram(problem.slots, problem.jacobian, problem.jacobian)
  let last: FunctionPoint | undefined
  // That of some point before: a preconditioner needs no more.
  let nearby: Curved | undefined
  let curved: Curved | undefined
  let others: KnownRows | undefined
  const curvature =
    (): Curved => (curved = nearby = curved ?? curvatureAt(problem, gram, found(last).f, found(last).delta))
  return {
    mode: async (delta, tolerance = MODE_TOLERANCE) => {
      curved = undefined
      const start = startingPoint(problem, gram, delta, last)
      return (last = await newtonMode(start, tolerance, work, async (from, forcing) => {
        const direction = await newtonDirection(problem, gram, from, forcing, nearby)
        nearby = direction.curved
        return stepFrom(problem, from, direction.direction)
      }))
    },
    effectiveParameters: () => {
      const { lower } = curvature()
      const size = Math.sqrt(lower.length)
      return size - inverseTrace(size, lower)
    },
    logDetRatio: () => {
      const { lower } = curvature()
      const size = Math.sqrt(lower.length)
      let sum = 0
      for (let i = 0; i < size; i++) sum += 2 * Math.log(lower[i * size + i])
      return sum
    },
    covariances: () => rowCovariances(problem, gram, ownBlocks(gram, problem), found(last).delta, curvature()),
    elsewhere: rows => {
      if (others?.rows !== rows) others = { rows, ...gramsWith(problem, rows) }
      return elsewhere(problem, others, found(last), curvature())
    },
    weights: () => transposedTimes(problem, found(last).alpha).map(value => value / found(last).delta),
    factor: (threshold, most) => covarianceFactor(problem, gram, found(last), threshold, most),
  }
}

/** The last mode's weights under another prior precision: alpha changes, and the outputs do not. */
function startingPoint(problem: LinearProblem, gram: Float64Array, delta: number,
  last: FunctionPoint | undefined): FunctionPoint {
  const size = problem.f.length
  if (last === undefined) return networkPoint(problem, gram, delta)
  const alpha = last.alpha.map(value => value * delta / last.delta)
  // Anew, as sums over many steps gather rounding errors.
  return pointAt(problem, delta, alpha, matrixTimes(size, size, gram, alpha, 1 / delta))
}

/** The network's outputs are fitted to this variance, which keeps the system well conditioned. */
const START_VARIANCE = 1e-2

/**
 * A point near the network's outputs, which descend far less than those at the prior's mean: (K / delta + s^2) alpha
 * = f - f0. The prior's mean itself where that is better.
 */
function networkPoint(problem: LinearProblem, gram: Float64Array, delta: number): FunctionPoint {
  const size = problem.f.length
  const mean = pointAt(problem, delta, new Float64Array(size), new Float64Array(size))
  const matrix = gram.map(value => value / delta)
  for (let i = 0; i < size; i++) matrix[i * size + i] += START_VARIANCE
  if (cholesky(size, matrix) >= 0) return mean
  const alpha = solved(matrix, problem.f.map((value, i) => value - problem.f0[i]))
  const own = pointAt(problem, delta, alpha, matrixTimes(size, size, gram, alpha, 1 / delta))
  return own.objective < mean.objective ? own : mean
}

function pointAt({ likelihood, labels, f0, examples, outputs }: LinearProblem, delta: number, alpha: Float64Array,
  moved: Float64Array): FunctionPoint {
  const f = f0.map((value, i) => value + moved[i])
  const loss = likelihood.loss(f, labels, examples, outputs)
  const penalty = dot(alpha, moved)
  return { delta, alpha, moved, f, loss, squaredNorm: penalty / delta, objective: loss + penalty / 2 }
}

/** The step by a direction d; `pair` holds d and K d / delta. */
function stepFrom(problem: LinearProblem, { delta, alpha, moved }: FunctionPoint,
  pair: Float64Array): NewtonStep<FunctionPoint> {
  const size = alpha.length
  return {
    at: length =>
      pointAt(problem, delta, alpha.map((value, i) => value - length * pair[i]), moved.map((value, i) =>
        value - length * pair[size + i]
      )),
  }
}

/**
 * The Newton step d = (I + Lambda K / delta)^-1 (residual + alpha) of the objective
 * loss(f0 + K alpha / delta) + alpha' K alpha / (2 delta), with its image K d / delta after it. By conjugate
 * gradients in the inner product of K, which makes I + Lambda K / delta symmetric, with the factor of a point nearby
 * as preconditioner; or with a new factor where there is none or it is too far away.
 */
async function newtonDirection(problem: LinearProblem, gram: Float64Array, { f, alpha, delta }: FunctionPoint,
  forcing: number, nearby: Curved | undefined): Promise<{ direction: Float64Array, curved: Curved }> {
  const { likelihood, labels, examples, outputs } = problem
  const gradient = likelihood.residual(f, labels, examples, outputs)
  const wide = gradient.length
  for (let i = 0; i < wide; i++) gradient[i] += alpha[i]
  const withImage = (v: Float64Array): Float64Array => joined([v, matrixTimes(wide, wide, gram, v, 1 / delta)])
  const right = withImage(gradient)
  if (nearby !== undefined) {
    const root = hessianRoots(problem, f)
    const { x, converged } = await conjugateGradients({
      times: v => {
        const inside = transposedRootTimes(root, v.subarray(wide), outputs)
        return plus(v, withImage(rootTimes(root, inside, outputs)), 1)
      },
      // (I + Lambda K / delta)^-1 of the point nearby, by its own delta: else it would not be positive definite.
      precondition: v => plus(v, withImage(dataPart(nearby, v.subarray(wide), outputs)), -delta / nearby.delta),
      inner: (a, b) => dot(a.subarray(0, wide), b.subarray(wide)),
    }, right, forcing, productsWorth(examples * root.rank))
    if (converged) return { direction: x, curved: nearby }
  }
  const curved = curvatureAt(problem, gram, f, delta)
  return { direction: plus(right, withImage(dataPart(curved, right.subarray(wide), outputs)), -1), curved }
}

/** R (I + S)^-1 R' v: what (I + Lambda K / delta)^-1 takes from a vector with the image v. */
function dataPart(curved: Curved, v: Float64Array, outputs: number): Float64Array {
  return rootTimes(curved, solved(curved.lower, transposedRootTimes(curved, v, outputs)), outputs)
}

function plus(a: Float64Array, b: Float64Array, factor: number): Float64Array {
  return a.map((value, i) => value + factor * b[i])
}

/** (L L')^-1 v. */
function solved(lower: Float64Array, v: Float64Array): Float64Array {
  const x = v.slice()
  triangularSolve(false, x.length, 1, lower, x)
  triangularSolve(true, x.length, 1, lower, x)
  return x
}

/** The Cholesky factor of I + R' K R / delta. I + S has no eigenvalue below 1, so that it always exists. */
function curvatureAt(problem: LinearProblem, gram: Float64Array, f: Float64Array, delta: number): Curved {
  const { rank, roots } = hessianRoots(problem, f)
  const lower = innerMatrix(problem, gram, roots, rank, delta)
  const size = problem.examples * rank
  for (let i = 0; i < size; i++) lower[i * size + i] += 1
  const pivot = cholesky(size, lower)
  if (pivot >= 0) {
    throw new NumericalError('NOT_POSITIVE_DEFINITE',
      `The linear model over all weights is not finite at row ${Math.floor(pivot / rank)}: `
        + "the network's Jacobian there is too large. Scale its inputs, or use subset 'last_layer'.", { pivot })
  }
  return { rank, roots, delta, lower }
}

/** The lower triangle of S = R' K R / delta, (N K) x (N K): no decomposition reads what is above it. */
function innerMatrix({ examples, outputs }: LinearProblem, gram: Float64Array, roots: Float64Array, rank: number,
  delta: number): Float64Array {
  const [wide, size] = [examples * outputs, examples * rank]
  const result = new Float64Array(size * size)
  const half = new Float64Array(outputs * size)
  const scaled = { roots, rank, outputs, scale: 1 / delta }
  for (let n = 0; n < examples; n++) {
    pauseInLoop((n + 1) * outputs * rank * (outputs + rank))
    // Rows (n, c) of K R; only the part up to example n is needed of a symmetric matrix.
    for (let c = 0; c < outputs; c++) {
      const from = (n * outputs + c) * wide
      timesRoots(gram.subarray(from, from + wide), scaled, half.subarray(c * size, c * size + (n + 1) * rank))
    }
    for (let k = 0; k < rank; k++) {
      const target = (n * rank + k) * size
      for (let c = 0; c < outputs; c++) {
        const weight = roots[(n * outputs + c) * rank + k]
        if (weight === 0) continue
        for (let j = 0; j < (n + 1) * rank; j++) result[target + j] += weight * half[c * size + j]
      }
    }
  }
  return result
}

/** Roots of the Hessians of all examples, (N C) x K, and what their products are scaled by. */
interface ScaledRoots {
  readonly roots: Float64Array
  readonly rank: number
  readonly outputs: number
  readonly scale: number
}

/** One row of K times the roots of as many examples as the result has room for, K numbers each. */
function timesRoots(row: Float64Array, { roots, rank, outputs, scale }: ScaledRoots, result: Float64Array): void {
  for (let m = 0; m < result.length / rank; m++) {
    for (let k = 0; k < rank; k++) {
      let sum = 0
      for (let d = 0; d < outputs; d++) sum += row[m * outputs + d] * roots[(m * outputs + d) * rank + k]
      result[m * rank + k] = scale * sum
    }
  }
}

/** Other rows with their Gram matrices. */
interface KnownRows {
  readonly rows: OtherRows
  /** J_* J', (M C) x (N C). */
  readonly cross: Float64Array
  /** J_m J_m', M x C x C. */
  readonly own: Float64Array
}

function gramsWith({ slots, jacobian }: LinearProblem, rows: OtherRows): Omit<KnownRows, 'rows'> {
  return { cross: jacobianGram(slots, rows.jacobian, jacobian), own: ownGram(slots, rows.jacobian) }
}

/** f0 + K_* alpha / delta, with the covariances of `rowCovariances`. */
function elsewhere(problem: LinearProblem, { rows, cross, own }: KnownRows, { alpha, delta }: FunctionPoint,
  curved: Curved): OutputsElsewhere {
  const f = rows.f0.slice()
  gemm(false, false, f.length, 1, alpha.length, 1 / delta, cross, alpha, 1, f)
  return { f, covariance: rowCovariances(problem, cross, own, delta, curved) }
}

/** K_nn of the training rows, N x C x C. */
function ownBlocks(gram: Float64Array, { examples, outputs }: LinearProblem): Float64Array {
  const wide = examples * outputs
  const own = new Float64Array(examples * outputs * outputs)
  for (let i = 0; i < wide; i++) {
    const from = i * wide + Math.floor(i / outputs) * outputs
    own.set(gram.subarray(from, from + outputs), i * outputs)
  }
  return own
}

/**
 * S_m = K_mm / delta - T_m' T_m with T = L^-1 R' K_m / delta: J_m P^-1 J_m', M x C x C.
 * @param cross J_m J', (M C) x (N C)
 * @param own J_m J_m', M x C x C
 */
function rowCovariances({ examples: fitted, outputs }: LinearProblem, cross: Float64Array, own: Float64Array,
  delta: number, { rank, roots, lower }: Curved): Float64Array {
  const [wide, size] = [fitted * outputs, fitted * rank]
  const examples = cross.length / (wide * outputs)
  const result = new Float64Array(examples * outputs * outputs)
  const block = Math.max(1, Math.floor((1 << 22) / (size * outputs)))
  const scaled = { roots, rank, outputs, scale: 1 / delta }
  for (let first = 0; first < examples; first += block) {
    const last = Math.min(examples, first + block)
    const columns = (last - first) * outputs
    const solved = new Float64Array(size * columns)
    const row = new Float64Array(size)
    for (let i = 0; i < columns; i++) {
      pauseInLoop(wide * rank)
      const from = (first * outputs + i) * wide
      timesRoots(cross.subarray(from, from + wide), scaled, row)
      for (let j = 0; j < size; j++) solved[j * columns + i] = row[j]
    }
    triangularSolve(false, size, columns, lower, solved)
    for (let n = first; n < last; n++) {
      subtractSquares(result, solved, own, { n, first, columns, size, outputs, delta })
    }
  }
  return result
}

/** Where the columns of one example are in a block of solutions. */
interface SolvedBlock {
  readonly n: number
  readonly first: number
  readonly columns: number
  readonly size: number
  readonly outputs: number
  readonly delta: number
}

function subtractSquares(result: Float64Array, solved: Float64Array, own: Float64Array,
  { n, first, columns, size, outputs, delta }: SolvedBlock): void {
  const at = (n - first) * outputs
  for (let c = 0; c < outputs; c++) {
    for (let d = 0; d <= c; d++) {
      let sum = own[(n * outputs + c) * outputs + d] / delta
      for (let j = 0; j < size; j++) sum -= solved[j * columns + at + c] * solved[j * columns + at + d]
      result[(n * outputs + c) * outputs + d] = result[(n * outputs + d) * outputs + c] = sum
    }
  }
}

/** u_k = J' R q_k / sqrt(delta (1 + l_k)) for the eigenpairs (l_k, q_k) of S. */
function covarianceFactor(problem: LinearProblem, gram: Float64Array, { f, delta }: FunctionPoint, threshold: number,
  most?: number): { rank: number, rows: Float64Array } {
  const { slots, examples, outputs, jacobian } = problem
  const { rank, roots } = hessianRoots(problem, f)
  const size = examples * rank
  const { values, vectors } = leadingEigenpairs(size, innerMatrix(problem, gram, roots, rank, delta), threshold, most)
  const count = values.length
  const mixed = new Float64Array(examples * outputs * count)
  for (let i = 0; i < count; i++) {
    pauseInLoop(mixed.length / count * (rank + 1))
    rootTimes({ rank, roots }, vectors.subarray(i * size, (i + 1) * size), outputs).forEach((value, at) => {
      mixed[at * count + i] = value
    })
  }
  for (let i = 0; i < mixed.length; i++) mixed[i] /= Math.sqrt(delta * (1 + values[i % count]))
  const sums = zeroVectors(slots, count)
  addTransposedProduct(sums, jacobian, mixed)
  return { rank: count, rows: joinVectors(slots, sums) }
}
