/**
 * @file The linear model over all weights: function space and weight space against each other and against the
 * definitions, written out with dense matrices.
 */
import t from 'tap'
import { selectExamples } from '../../../core/curvature/jacobian.js'
import { cholesky, gemm, triangularSolve } from '../../../core/kernels/linear-algebra.js'
import { functionSpace } from '../../../core/linear-model/function-space.js'
import { leaveOneOut } from '../../../core/linear-model/leave-one-out.js'
import type { LinearProblem } from '../../../core/linear-model/linear-problem.js'
import { linearProblem } from '../../../core/linear-model/linear-problem.js'
import { HIGHEST_DELTA, tuneDelta } from '../../../core/linear-model/mackay.js'
import { weightSpace } from '../../../core/linear-model/weight-space.js'
import { relativeDifference } from '../../support/compare.js'
import { type RandomProblem, randomProblem } from '../../support/linear-problems.js'

const CASES = [['classification', 3], ['classification', 2], ['binary', 1], ['multilabel', 3]] as const
const SPACES = { functionSpace, weightSpace }

/** sum_n J_n' Lambda_n J_n, P x P, from the definition. */
function hessian({ problem, dense, theta }: RandomProblem, f: Float64Array): Float64Array {
  const { likelihood, examples, outputs } = problem
  const size = theta.length
  const result = new Float64Array(size * size)
  for (let n = 0; n < examples; n++) {
    const own = f.subarray(n * outputs, (n + 1) * outputs)
    const lambda = likelihood.sumHessian(own, 1, outputs)
    const rows = dense.subarray(n * outputs * size, (n + 1) * outputs * size)
    const half = new Float64Array(outputs * size)
    gemm(false, false, outputs, size, outputs, 1, lambda, rows, 0, half)
    gemm(true, false, size, size, outputs, 1, rows, half, 1, result)
  }
  return result
}

/** (H + delta)^-1 V for the columns of V, P x m. */
function solve(matrix: Float64Array, delta: number, columns: Float64Array): Float64Array {
  const size = Math.sqrt(matrix.length)
  const lower = matrix.slice()
  for (let i = 0; i < size; i++) lower[i * size + i] += delta
  t.equal(cholesky(size, lower), -1)
  const result = columns.slice()
  triangularSolve(false, size, columns.length / size, lower, result)
  triangularSolve(true, size, columns.length / size, lower, result)
  return result
}

for (const [likelihood, outputs] of CASES) {
  for (const [name, space] of Object.entries(SPACES)) {
    t.test(`${name}, ${likelihood} with ${outputs} outputs: mode, covariances and factor`, async t => {
      const random = randomProblem(likelihood, 12, outputs, 3)
      const { problem, dense, theta } = random
      const size = theta.length
      for (const delta of [0.1, 3]) {
        const model = space(problem)
        const { f, loss, squaredNorm } = await model.mode(delta)
        const w = model.weights()
        const moved = new Float64Array(f.length)
        gemm(false, false, f.length, 1, size, 1, dense, w, 0, moved)
        t.ok(relativeDifference(problem.f0.map((value, i) => value + moved[i]), f) < 1e-9, 'f = f0 + J w')
        t.ok(Math.abs(w.reduce((sum, v) => sum + v * v, 0) / squaredNorm - 1) < 1e-9, '|w|^2')
        t.ok(Math.abs(problem.likelihood.loss(f, problem.labels, problem.examples, outputs) / loss - 1) < 1e-12, 'loss')
        const gradient = w.map(value => delta * value)
        const residual = problem.likelihood.residual(f, problem.labels, problem.examples, outputs)
        gemm(true, false, size, 1, f.length, 1, dense, residual, 1, gradient)
        t.ok(gradient.every(value => Math.abs(value) < 1e-7), 'the gradient vanishes at the mode')

        const h = hessian(random, f)
        const columns = new Float64Array(dense.length)
        for (let i = 0; i < f.length; i++) {
          for (let j = 0; j < size; j++) columns[j * f.length + i] = dense[i * size + j]
        }
        const covariance = new Float64Array(f.length * f.length)
        gemm(false, false, f.length, f.length, size, 1, dense, solve(h, delta, columns), 0, covariance)
        const blocks = Float64Array.from({ length: f.length * outputs }, (_, at) => {
          const i = Math.floor(at / outputs)
          return covariance[i * f.length + Math.floor(i / outputs) * outputs + at % outputs]
        })
        t.ok(relativeDifference(model.covariances(), blocks) < 1e-7, "J_n P^-1 J_n'")

        const identity = Float64Array.from({ length: size * size }, (_, at) => Number(at % (size + 1) === 0))
        const inverse = solve(h, delta, identity)
        const trace = Array.from({ length: size }, (_, i) => inverse[i * size + i]).reduce((a, b) => a + b, 0)
        t.ok(Math.abs(model.effectiveParameters() - (size - delta * trace)) < 1e-7 * size, 'gamma')
        const { rank, rows } = model.factor(1e-13)
        const built = identity.map(value => value / delta)
        gemm(true, false, size, size, rank, -1 / delta, rows, rows, 1, built)
        t.ok(relativeDifference(built, inverse) < 1e-7, "(I - U'U) / delta")
      }
    })
  }

  t.test(`${likelihood} with ${outputs} outputs: both spaces reach MacKay's fixed point`, async t => {
    const { problem } = randomProblem(likelihood, 40, outputs, 8)
    const [one, other] = await Promise.all([tuneDelta(functionSpace(problem), {}), tuneDelta(weightSpace(problem), {})])
    t.ok(one.converged && other.converged)
    t.ok(Math.abs(Math.log(one.delta / other.delta)) < 1e-4, `${one.delta} ${other.delta}`)
    const image = Math.min(HIGHEST_DELTA, one.effectiveParameters / one.mode.squaredNorm)
    t.ok(Math.abs(one.delta / image - 1) < 1e-4, `delta = gamma / |w|^2 or the bound: ${one.delta}`)
  })
}

for (const [name, space] of Object.entries(SPACES)) {
  t.test(`${name}: a mode does not depend on the prior precision that was asked for before`, async t => {
    for (const [likelihood, outputs] of CASES) {
      // Enough rows that a factor of a point nearby is tried before a new one.
      const { problem } = randomProblem(likelihood, 200, outputs, 7)
      const walked = space(problem)
      for (const delta of [1, 64, 0.02, 1e3, 1]) {
        const { f, loss, squaredNorm } = await walked.mode(delta)
        // Every call finds the curvature too, which the next mode starts from.
        walked.effectiveParameters()
        const alone = await space(problem).mode(delta)
        t.ok(relativeDifference(f, alone.f) < 1e-5, `${likelihood}, delta ${delta}: ${relativeDifference(f, alone.f)}`)
        t.ok(Math.abs(loss + delta / 2 * squaredNorm - alone.loss - delta / 2 * alone.squaredNorm) < 1e-8 * loss)
      }
    }
  })
}

t.test('leave-one-out is close to a fit without the row', async t => {
  const { problem } = randomProblem('classification', 60, 3, 4)
  const delta = 2
  const model = functionSpace(problem)
  const { f } = await model.mode(delta)
  const left = leaveOneOut(problem, f, model.covariances())
  let [exact, plain] = [0, 0]
  for (let n = 0; n < 8; n++) {
    const truth = await withoutRow(problem, n, delta)
    const error = (values: Float64Array): number =>
      truth.reduce((sum, value, c) => sum + (value - values[n * 3 + c]) ** 2, 0)
    exact += error(left.f)
    plain += error(f)
  }
  t.ok(exact < 0.02 * plain, `squared error ${exact}, of the mode with the row ${plain}`)
})

/** f_lin at row n for the mode of all other rows. */
async function withoutRow(problem: LinearProblem, n: number, delta: number): Promise<Float64Array> {
  const others = Int32Array.from({ length: problem.examples - 1 }, (_, i) => (i < n ? i : i + 1))
  const { outputs } = problem
  const take = (values: Float64Array, width: number): Float64Array =>
    Float64Array.from([...others].flatMap(row => [...values.subarray(row * width, (row + 1) * width)]))
  const rest: LinearProblem = { ...problem, examples: others.length, jacobian: selectExamples(problem.jacobian, others),
    f: take(problem.f, outputs), f0: take(problem.f0, outputs), labels: take(problem.labels, 1) }
  const model = functionSpace(rest)
  await model.mode(delta)
  const w = model.weights()
  const own = selectExamples(problem.jacobian, Int32Array.of(n))
  const zero = new Float64Array(w.length)
  const at = linearProblem(problem.likelihood, problem.slots, own, problem.f0.slice(n * outputs, (n + 1) * outputs),
    problem.labels.slice(n, n + 1), zero.map((_, i) => -w[i]))
  return at.f0
}
