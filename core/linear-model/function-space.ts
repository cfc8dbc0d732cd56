/**
 * @file The linear model in function space: w - mu = J' alpha / delta, so that all is said by the Gram matrix K = J J'
 * (N C x N C). Newton's step needs I + S with S = R' K R / delta, of size N rank(Lambda) (Rasmussen and Williams 2006,
 * chapter 3.5, with R R' = Lambda).
 */
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { addTransposedProduct, jacobianGram, joinVectors, ownGram,
  zeroVectors } from '../curvature/jacobian-products.js'
import { NumericalError } from '../errors/errors.js'
import { cholesky, gemm, triangularInverse, triangularSolve } from '../kernels/linear-algebra.js'
import { leadingEigenpairs } from './leading-eigenpairs.js'
import { hessianRoots, type LinearMode, type LinearProblem, type LinearSpace, type OtherRows, type OutputsElsewhere,
  transposedTimes } from './linear-problem.js'

const MOST_STEPS = 200
/** Largest change of an output in the last step; the error left is about its square. */
const TOLERANCE = 1e-7
const SHORTEST_STEP = 1e-9

interface FunctionMode extends LinearMode {
  readonly delta: number
  readonly alpha: Float64Array
}

/** What is known at a mode: the roots of Lambda and the Cholesky factor of I + S. */
interface Curved {
  readonly rank: number
  readonly roots: Float64Array
  readonly lower: Float64Array
}

/** The linear model in function space. */
export function functionSpace(problem: LinearProblem, work: WorkOptions = {}): LinearSpace {
  const gram = jacobianGram(problem.slots, problem.jacobian, problem.jacobian)
  let last: FunctionMode | undefined
  let curved: Curved | undefined
  let others: KnownRows | undefined
  const current = (): FunctionMode => last ?? newton(problem, gram, 1, new Float64Array(problem.f.length), work)
  const curvature = (): Curved => (curved ??= curvatureAt(problem, gram, current().f, current().delta))
  return {
    mode: delta => {
      curved = undefined
      return (last = newton(problem, gram, delta, last?.alpha ?? new Float64Array(problem.f.length), work))
    },
    effectiveParameters: () => {
      const { lower } = curvature()
      return Math.sqrt(lower.length) - inverseTrace(lower)
    },
    logDetRatio: () => {
      const { lower } = curvature()
      const size = Math.sqrt(lower.length)
      let sum = 0
      for (let i = 0; i < size; i++) sum += 2 * Math.log(lower[i * size + i])
      return sum
    },
    covariances: () => rowCovariances(problem, gram, ownBlocks(gram, problem), current().delta, curvature()),
    elsewhere: rows => {
      if (others?.rows !== rows) others = { rows, ...gramsWith(problem, rows) }
      return elsewhere(problem, others, current(), curvature())
    },
    weights: () => transposedTimes(problem, current().alpha).map(value => value / current().delta),
    factor: threshold => covarianceFactor(problem, gram, current(), threshold),
  }
}

/** Newton's method on alpha, halving steps that do not descend. */
function newton(problem: LinearProblem, gram: Float64Array, delta: number, start: Float64Array,
  { signal }: WorkOptions): FunctionMode {
  let state = stateAt(problem, gram, delta, start)
  for (let step = 0; step < MOST_STEPS; step++) {
    throwIfCancelled(signal)
    const direction = newtonDirection(problem, gram, state)
    let length = 1
    let next = state
    do {
      next = stateAt(problem, gram, delta, state.alpha.map((value, i) => value - length * direction[i]))
      length /= 2
    } while (!(next.objective <= state.objective + 1e-10 * Math.abs(state.objective)) && length > SHORTEST_STEP)
    const moved = next.f.reduce((most, value, i) => Math.max(most, Math.abs(value - state.f[i])), 0)
    state = next
    if (moved < TOLERANCE * Math.max(1, largest(state.f))) return state
  }
  throw new NumericalError('NO_CONVERGENCE',
    `The mode of the linear model over all weights was not found in ${MOST_STEPS} Newton steps. `
      + "Use subset 'last_layer', or give priorPrecision.", { steps: MOST_STEPS })
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

interface NewtonState extends FunctionMode {
  readonly objective: number
}

function stateAt({ likelihood, labels, f0, examples, outputs }: LinearProblem, gram: Float64Array, delta: number,
  alpha: Float64Array): NewtonState {
  const moved = new Float64Array(alpha.length)
  gemm(false, false, alpha.length, 1, alpha.length, 1 / delta, gram, alpha, 0, moved)
  const f = f0.map((value, i) => value + moved[i])
  const loss = likelihood.loss(f, labels, examples, outputs)
  const penalty = dot(alpha, moved)
  return { delta, alpha, f, loss, squaredNorm: penalty / delta, objective: loss + penalty / 2 }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

/**
 * r - R (I + S)^-1 R' K r / delta with r = residual + alpha: the Newton step of the objective
 * loss(f0 + K alpha / delta) + alpha' K alpha / (2 delta).
 */
function newtonDirection(problem: LinearProblem, gram: Float64Array, { f, alpha, delta }: NewtonState): Float64Array {
  const { likelihood, labels, examples, outputs } = problem
  const direction = likelihood.residual(f, labels, examples, outputs)
  for (let i = 0; i < direction.length; i++) direction[i] += alpha[i]
  const { rank, roots, lower } = curvatureAt(problem, gram, f, delta)
  const image = new Float64Array(direction.length)
  gemm(false, false, direction.length, 1, direction.length, 1 / delta, gram, direction, 0, image)
  const inner = transposedRootTimes(roots, image, examples, outputs, rank)
  triangularSolve(false, inner.length, 1, lower, inner)
  triangularSolve(true, inner.length, 1, lower, inner)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      const at = n * outputs + c
      for (let k = 0; k < rank; k++) direction[at] -= roots[at * rank + k] * inner[n * rank + k]
    }
  }
  return direction
}

/** R' v of every example: N x K. */
function transposedRootTimes(roots: Float64Array, v: Float64Array, examples: number, outputs: number,
  rank: number): Float64Array {
  const result = new Float64Array(examples * rank)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      const value = v[n * outputs + c]
      for (let k = 0; k < rank; k++) result[n * rank + k] += roots[(n * outputs + c) * rank + k] * value
    }
  }
  return result
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
  return { rank, roots, lower }
}

/** S = R' K R / delta, symmetric, (N K) x (N K). */
function innerMatrix({ examples, outputs }: LinearProblem, gram: Float64Array, roots: Float64Array, rank: number,
  delta: number): Float64Array {
  const [wide, size] = [examples * outputs, examples * rank]
  const result = new Float64Array(size * size)
  const half = new Float64Array(outputs * size)
  for (let n = 0; n < examples; n++) {
    // Rows (n, c) of K R; only the part up to example n is needed of a symmetric matrix.
    for (let c = 0; c < outputs; c++) {
      const from = (n * outputs + c) * wide
      rootColumns(gram, from, roots, half, c * size, n + 1, outputs, rank, 1 / delta)
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
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) result[j * size + i] = result[i * size + j]
  return result
}

/** One row of K times the roots of the first `examples` examples, scaled. */
function rootColumns(matrix: Float64Array, from: number, roots: Float64Array, result: Float64Array, at: number,
  examples: number, outputs: number, rank: number, scale: number): void {
  for (let m = 0; m < examples; m++) {
    for (let k = 0; k < rank; k++) {
      let sum = 0
      for (let d = 0; d < outputs; d++) sum += matrix[from + m * outputs + d] * roots[(m * outputs + d) * rank + k]
      result[at + m * rank + k] = scale * sum
    }
  }
}

/** tr (L L')^-1, the squared entries of L^-1. */
function inverseTrace(lower: Float64Array): number {
  const inverse = triangularInverse(Math.sqrt(lower.length), lower)
  return dot(inverse, inverse)
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
function elsewhere(problem: LinearProblem, { rows, cross, own }: KnownRows, { alpha, delta }: FunctionMode,
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
  for (let first = 0; first < examples; first += block) {
    const last = Math.min(examples, first + block)
    const columns = (last - first) * outputs
    const solved = new Float64Array(size * columns)
    const row = new Float64Array(size)
    for (let i = 0; i < columns; i++) {
      rootColumns(cross, (first * outputs + i) * wide, roots, row, 0, fitted, outputs, rank, 1 / delta)
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
function covarianceFactor(problem: LinearProblem, gram: Float64Array, { f, delta }: FunctionMode,
  threshold: number): { rank: number, rows: Float64Array } {
  const { slots, examples, outputs, jacobian } = problem
  const { rank, roots } = hessianRoots(problem, f)
  const size = examples * rank
  const { values, vectors } = leadingEigenpairs(size, innerMatrix(problem, gram, roots, rank, delta), threshold)
  const count = values.length
  const mixed = new Float64Array(examples * outputs * count)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      const at = n * outputs + c
      for (let k = 0; k < rank; k++) {
        const root = roots[at * rank + k]
        if (root === 0) continue
        for (let i = 0; i < count; i++) mixed[at * count + i] += root * vectors[i * size + n * rank + k]
      }
    }
  }
  for (let i = 0; i < mixed.length; i++) mixed[i] /= Math.sqrt(delta * (1 + values[i % count]))
  const sums = zeroVectors(slots, count)
  addTransposedProduct(sums, jacobian, mixed)
  return { rank: count, rows: joinVectors(slots, sums) }
}
