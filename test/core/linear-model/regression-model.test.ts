/** @file Regression an output at a time: evidence, posterior and leave-one-out against the closed forms. */
import t from 'tap'
import { cholesky, gemm, triangularSolve } from '../../../core/kernels/linear-algebra.js'
import { gaussianEvidence, tuneGaussian } from '../../../core/linear-model/gaussian-evidence.js'
import { outputFamily } from '../../../core/linear-model/regression-model.js'
import { relativeDifference } from '../../support/compare.js'
import { randomProblem } from '../../support/linear-problems.js'

/** log N(y; 0, A) and A^-1 y. */
function gaussian(a: Float64Array, y: Float64Array): { log: number, solved: Float64Array, lower: Float64Array } {
  const n = y.length
  const lower = a.slice()
  t.equal(cholesky(n, lower), -1)
  const solved = y.slice()
  triangularSolve(false, n, 1, lower, solved)
  const half = solved.reduce((sum, value) => sum + value * value, 0)
  triangularSolve(true, n, 1, lower, solved)
  let log = -0.5 * (half + n * Math.log(2 * Math.PI))
  for (let i = 0; i < n; i++) log -= Math.log(lower[i * n + i])
  return { log, solved, lower }
}

for (const [what, examples, hidden] of [['fewer rows than weights', 14, 4], ['more rows than weights', 60,
  3]] as const) {
  t.test(`${what}: evidence, mode, variance and leave-one-out`, async t => {
    const outputs = 2
    const { problem, dense, theta } = randomProblem('regression', examples, outputs, 6, hidden)
    const size = theta.length
    for (let c = 0; c < outputs; c++) {
      const family = outputFamily(problem, c, {})
      const model = family.modelAt(family.tuned, 1e-14)
      const { delta, sigma } = model
      const rows = Float64Array.from({ length: examples * size },
        (_, at) => dense[(Math.floor(at / size) * outputs + c) * size + at % size])
      const k = new Float64Array(examples * examples)
      gemm(false, true, examples, examples, size, 1, rows, rows, 0, k)
      const y = Float64Array.from({ length: examples },
        (_, n) => problem.labels[n * outputs + c] - problem.f0[n * outputs + c])
      const a = k.map((value, at) => value / delta + (at % (examples + 1) === 0 ? sigma * sigma : 0))
      const { log, solved } = gaussian(a, y)
      t.ok(Math.abs(model.evidence - log) < 1e-8 * Math.abs(log), 'evidence')
      for (const [p, q] of [[0.2, 0], [-0.2, 0], [0, 0.2], [0, -0.2]]) {
        const other = k.map((value, at) =>
          value / delta * Math.exp(-p) +
          (at % (examples + 1) === 0 ? sigma * sigma * Math.exp(q) : 0)
        )
        t.ok(gaussian(other, y).log <= log + 1e-9, 'it is a maximum')
      }
      const w = new Float64Array(size)
      gemm(true, false, size, 1, examples, 1 / delta, rows, solved, 0, w)
      t.ok(relativeDifference(model.weights, w) < 1e-7, 'w = J alpha / delta')
      t.equal(model.rank <= Math.min(size, examples), true)

      // Each row left out: the same Gaussian without its row and column.
      for (const n of [0, 5, 9]) {
        const others = Array.from({ length: examples }, (_, i) => i).filter(i => i !== n)
        const inner = Float64Array.from(others.flatMap(i => others.map(j => a[i * examples + j])))
        const cross = Float64Array.from(others, i => k[n * examples + i] / delta)
        const { solved: alpha } = gaussian(inner, Float64Array.from(others, i => y[i]))
        const { solved: beta } = gaussian(inner, cross)
        const mean = cross.reduce((sum, value, i) => sum + value * alpha[i], problem.f0[n * outputs + c])
        const variance = cross.reduce((sum, value, i) => sum - value * beta[i], k[n * examples + n] / delta)
        t.ok(Math.abs(model.leftOut.f[n] - mean) < 1e-7 * Math.max(1, Math.abs(mean)), `mean without row ${n}`)
        t.ok(Math.abs(model.leftOut.variance[n] - variance) < 1e-6 * variance, `variance without row ${n}`)
      }
    }
  })
}

t.test('the evidence has the derivatives that it says', async t => {
  const spectrum = { values: Float64Array.of(3, 0.5, 0.01), coordinates: Float64Array.of(1, -2, 0.3), others: 4,
    otherSquares: 0.7 }
  const target = gaussianEvidence(spectrum)
  const at = Float64Array.of(0.3, -0.8)
  const h = 1e-5
  const { gradient, hessian } = target.at(at)
  for (const i of [0, 1]) {
    const step = (sign: number) => target.at(at.map((value, j) => (i === j ? value + sign * h : value)))
    const [up, down] = [step(1), step(-1)]
    t.ok(Math.abs((up.value - down.value) / (2 * h) - gradient[i]) < 1e-8)
    for (const j of [0, 1]) {
      t.ok(Math.abs((up.gradient[j] - down.gradient[j]) / (2 * h) - hessian[i * 2 + j]) < 1e-8)
    }
  }
})

t.test('noise and prior follow the scale of the targets', async t => {
  const values = Float64Array.from({ length: 30 }, (_, i) => 5 / (1 + i) ** 2)
  const coordinates = Float64Array.from({ length: 30 }, (_, i) => Math.sin(7 * i) * Math.sqrt(values[i] + 0.04))
  const tune = (scale: number) =>
    tuneGaussian({ values, coordinates: coordinates.map(b => scale * b), others: 0, otherSquares: 0 }, scale * scale)
  const one = tune(1)
  for (const scale of [1e-4, 1e4]) {
    const other = tune(scale)
    t.ok(Math.abs(other.sigma / (scale * one.sigma) - 1) < 1e-6, `sigma times ${scale}`)
    t.ok(Math.abs(other.delta * scale * scale / one.delta - 1) < 1e-6, `delta over ${scale}^2`)
  }
})

t.test('exact targets leave the noise at its floor, and that is said', async t => {
  const { problem } = randomProblem('regression', 8, 1, 2)
  const family = outputFamily({ ...problem, labels: problem.f.slice() }, 0, {})
  const exact = family.modelAt(family.tuned, 0.01)
  t.ok(exact.floored || exact.sigma > 0)
  t.ok(Number.isFinite(exact.delta) && exact.weights.every(Number.isFinite))
})
