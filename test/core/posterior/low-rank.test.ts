/** @file The low-rank posterior against its dense covariance (I - U'U) / delta, or D (I - U'U) D / delta. */
import t from 'tap'
import type { LowRankCurvature } from '../../../core/curvature/curvature.js'
import type { WeightPrior } from '../../../core/curvature/scaled-jacobian.js'
import { functionSpace } from '../../../core/linear-model/function-space.js'
import { DEFAULT_SETTINGS } from '../../../core/options/hyperparameters.js'
import { curvatureMatrix, precisionOf } from '../../../core/posterior/curvature-matrix.js'
import { lowRankOutputs } from '../../../core/posterior/low-rank-outputs.js'
import { lowRankPosterior } from '../../../core/posterior/low-rank.js'
import type { StructuredPosterior } from '../../../core/posterior/posterior.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'
import { randomProblem } from '../../support/linear-problems.js'

const random = randomProblem('classification', 10, 3, 21)
const { problem, theta, dense } = random
const size = theta.length
const delta = 0.7

/** Scales that are the same along a row of a tensor. */
const scale = new Float64Array(size)
for (const { offset, size: length, shape: [rows = 1] } of problem.slots) {
  const scales = randomGenerator(offset).fillNormal(new Float64Array(rows)).map(Math.exp)
  for (let i = 0; i < length; i++) scale[offset + i] = scales[Math.floor(i * rows / length)]
}
const PRIORS = [undefined, { mean: theta.map(value => value / 2), scale }]

async function posteriorOf(threshold: number,
  prior: WeightPrior | undefined): Promise<{ posterior: StructuredPosterior, rows: Float64Array, rank: number }> {
  const space = functionSpace(problem)
  await space.mode(delta)
  const { rank, rows } = space.factor(threshold)
  const curvature: LowRankCurvature = { structure: 'lowrank', size, prior,
    models: [{ outputs: [0, 1, 2], delta, sigma: 1, weights: space.weights(), rank, rows,
      logDetRatio: space.logDetRatio(), effectiveParameters: 1, evidence: 0 }] }
  return { rows, rank,
    posterior: lowRankPosterior(curvature, problem.slots, theta, { ...DEFAULT_SETTINGS, priorPrecision: delta }) }
}

/** D (I - U'U) D / delta, P x P. */
function covarianceOf(rows: Float64Array, rank: number, prior: WeightPrior | undefined): Float64Array {
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size]
    let value = Number(i === j)
    for (let k = 0; k < rank; k++) value -= rows[k * size + i] * rows[k * size + j]
    return value / delta * (prior?.scale[i] ?? 1) * (prior?.scale[j] ?? 1)
  })
}

for (const prior of PRIORS) {
  const units = prior === undefined ? 'one unit' : 'units of the prior'
  t.test(`${units}: covariance, precision, variances, roots and density belong together`, async t => {
    const { posterior, rows, rank } = await posteriorOf(0.05, prior)
    const covariance = covarianceOf(rows, rank, prior)
    const identity = Float64Array.from({ length: size * size }, (_, at) => Number(at % (size + 1) === 0))
    t.ok(relativeDifference(posterior.covarianceTimes(identity, size), covariance) < 1e-12)
    t.ok(relativeDifference(posterior.posteriorVariance(), covariance.filter((_, at) => at % (size + 1) === 0)) < 1e-12)
    t.ok(relativeDifference(posterior.covarianceTimes(posterior.precisionMatrix(), size), identity) < 1e-9)
    const root = posterior.whiten(identity, size)
    const square = Float64Array.from({ length: size * size }, (_, at) => {
      let sum = 0
      for (let k = 0; k < size; k++) sum += root[Math.floor(at / size) * size + k] * root[(at % size) * size + k]
      return sum
    })
    t.ok(relativeDifference(square, covariance) < 1e-12, 'root times root')
    const away = posterior.mean.map((value, i) => value + 0.1 * Math.sin(i))
    const distance = away.map((value, i) => value - posterior.mean[i])
    const image = posterior.precisionMatrix()
    let quadratic = 0
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) quadratic += distance[i] * image[i * size + j] * distance[j]
    }
    t.ok(Math.abs(posterior.logProb(posterior.mean) - posterior.logProb(away) - quadratic / 2) < 1e-9 * quadratic)
  })

  t.test(`${units}: draws have the mean and the covariance of the posterior`, async t => {
    const { posterior, rows, rank } = await posteriorOf(0.05, prior)
    const covariance = covarianceOf(rows, rank, prior)
    const count = 20000
    const draws = posterior.sample(count, randomGenerator(4))
    for (const i of [0, 7, size - 1]) {
      let [mean, square] = [0, 0]
      for (let n = 0; n < count; n++) mean += draws[n * size + i] / count
      for (let n = 0; n < count; n++) square += (draws[n * size + i] - posterior.mean[i]) ** 2 / count
      const variance = covariance[i * size + i]
      t.ok(Math.abs(mean - posterior.mean[i]) < 5 * Math.sqrt(variance / count))
      t.ok(Math.abs(square / variance - 1) < 5 * Math.sqrt(2 / count))
    }
  })

  t.test(`${units}: outputs: the change of the mean and J P^-1 J`, async t => {
    const { posterior, rows, rank } = await posteriorOf(1e-13, prior)
    const parts = posterior.parts()
    if (parts.kind !== 'lowrank') return t.fail('parts of another structure')
    const { change, variance } = lowRankOutputs(parts.parts, problem.slots, problem.jacobian, 'covariance')
    const covariance = covarianceOf(rows, rank, prior)
    const [expected, moved] = [new Float64Array(variance.length), new Float64Array(change.length)]
    for (let i = 0; i < change.length; i++) {
      for (let p = 0; p < size; p++) {
        moved[i] += dense[i * size + p] * (posterior.mean[p] - theta[p])
        for (let c = 0; c < 3; c++) {
          const other = (Math.floor(i / 3) * 3 + c) * size
          for (let q = 0; q < size; q++) {
            expected[i * 3 + c] += dense[i * size + p] * covariance[p * size + q] * dense[other + q]
          }
        }
      }
    }
    t.ok(relativeDifference(change, moved) < 1e-10)
    t.ok(relativeDifference(variance, expected) < 1e-9)
    const alone = lowRankOutputs(parts.parts, problem.slots, problem.jacobian, 'diagonal').variance
    t.ok(relativeDifference(alone, variance.filter((_, at) => at % 3 === Math.floor(at / 3) % 3)) < 1e-13)
  })

  t.test(`${units}: another prior precision keeps the eigenvalues of the curvature`, async t => {
    const { posterior } = await posteriorOf(1e-13, prior)
    const other = posterior.withSettings({ priorPrecision: 5 })
    const [one, two] = [posterior.precisionMatrix(), other.precisionMatrix()]
    const added = (i: number): number => (5 - delta) / (prior?.scale[i] ?? 1) ** 2
    t.ok(relativeDifference(two, one.map((value, at) => value + (at % (size + 1) === 0 ? added(at % size) : 0))) < 1e-7)
    t.throws(() => posterior.withSettings({ priorPrecision: Float64Array.of(1, 2) }), { code: 'BAD_OPTION' })
  })

  t.test(`${units}: H and P as matrices, log determinants and scatter`, async t => {
    const { posterior } = await posteriorOf(1e-13, prior)
    const [h, p] = [curvatureMatrix(posterior.curvature, problem.slots), precisionOf(posterior)].map(own =>
      own.toDense()
    )
    t.ok(relativeDifference(p, posterior.precisionMatrix()) < 1e-12)
    const before = Array.from({ length: size }, (_, i) => delta / (prior?.scale[i] ?? 1) ** 2)
    t.ok(relativeDifference(p, h.map((value, at) => value + (at % (size + 1) === 0 ? before[at % size] : 0))) < 1e-12)
    const logDetPrior = before.reduce((sum, value) => sum + Math.log(value), 0)
    t.ok(Math.abs(posterior.logDetPrior() - logDetPrior) < 1e-9)
    const scatter = before.reduce((sum, value, i) => sum + value * (theta[i] - (prior?.mean[i] ?? 0)) ** 2, 0)
    t.ok(Math.abs(posterior.scatter() / scatter - 1) < 1e-12)
  })
}
