/** @file The low-rank posterior against its dense covariance (I - U'U) / delta. */
import t from 'tap'
import type { LowRankCurvature } from '../../../core/curvature/curvature.js'
import { functionSpace } from '../../../core/linear-model/function-space.js'
import { DEFAULT_SETTINGS } from '../../../core/options/hyperparameters.js'
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

async function posteriorOf(
  threshold: number,
): Promise<{ posterior: StructuredPosterior, rows: Float64Array, rank: number }> {
  const space = functionSpace(problem)
  await space.mode(delta)
  const { rank, rows } = space.factor(threshold)
  const curvature: LowRankCurvature = { structure: 'lowrank', size,
    models: [{ outputs: [0, 1, 2], delta, sigma: 1, weights: space.weights(), rank, rows,
      logDetRatio: space.logDetRatio(), effectiveParameters: 1, evidence: 0 }] }
  return { rows, rank,
    posterior: lowRankPosterior(curvature, problem.slots, theta, { ...DEFAULT_SETTINGS, priorPrecision: delta }) }
}

/** (I - U'U) / delta, P x P. */
function covarianceOf(rows: Float64Array, rank: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size]
    let value = Number(i === j)
    for (let k = 0; k < rank; k++) value -= rows[k * size + i] * rows[k * size + j]
    return value / delta
  })
}

t.test('covariance, precision, variances, roots and density belong together', async t => {
  const { posterior, rows, rank } = await posteriorOf(0.05)
  const covariance = covarianceOf(rows, rank)
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

t.test('draws have the mean and the covariance of the posterior', async t => {
  const { posterior, rows, rank } = await posteriorOf(0.05)
  const covariance = covarianceOf(rows, rank)
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

t.test('outputs: the change of the mean and J P^-1 J', async t => {
  const { posterior, rows, rank } = await posteriorOf(1e-13)
  const parts = posterior.parts()
  if (parts.kind !== 'lowrank') return t.fail('parts of another structure')
  const { change, variance } = lowRankOutputs(parts.parts, problem.slots, problem.jacobian, 'covariance')
  const covariance = covarianceOf(rows, rank)
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

t.test('another prior precision keeps the eigenvalues of the curvature', async t => {
  const { posterior } = await posteriorOf(1e-13)
  const other = posterior.withSettings({ priorPrecision: 5 })
  const [one, two] = [posterior.precisionMatrix(), other.precisionMatrix()]
  t.ok(relativeDifference(two, one.map((value, at) => value + (at % (size + 1) === 0 ? 5 - delta : 0))) < 1e-7)
  t.throws(() => posterior.withSettings({ priorPrecision: Float64Array.of(1, 2) }), { code: 'BAD_OPTION' })
})
