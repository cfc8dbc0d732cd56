/** @file Rewards learnt from pairs, against the definitions: differences of Jacobians, and the choices' evidence. */
import t, { type Test } from 'tap'
import { curvatureArrays } from '../../../core/curvature/accumulate.js'
import { isSum } from '../../../core/curvature/curvature.js'
import { OptionError, ShapeError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { graphAt } from '../../support/graph-at.js'
import { drawer, perceptron } from '../../support/random-network.js'

const [N, D] = [16, 3]
const draw = drawer(3)
const graph = perceptron(draw, D, 4, 1, 'Tanh')
const pairs = draw(N, 2, D)
const y: Tensor = { dtype: 'int64', shape: [N],
  data: Float64Array.from({ length: N }, (_, n) => (n * 7 % 3 === 0 ? 1 : 0)) }
const rows = float64([2 * N, D], pairs.data as Float64Array)

const fit = (options: Partial<LaplaceOptions> = {}): Promise<LaplacePosterior> =>
  laplace(graph, { likelihood: 'reward_modeling', subset: 'all', structure: 'full', priorPrecision: 2, ...options })
    .fit(pairs, y)
const sumsOf = ({ state: { fitted } }: LaplacePosterior): Float64Array[] =>
  fitted !== undefined && isSum(fitted) ? curvatureArrays(fitted) : []

/** Rewards of all rows by theta. */
async function rewardsAt(theta: Float64Array): Promise<number[]> {
  const posterior = await laplace(graphAt(graph, theta), { likelihood: 'regression', structure: 'diag', subset: 'all',
    priorPrecision: 1, sigmaNoise: 1 }).fit(rows, float64([2 * N, 1], new Float64Array(2 * N)))
  return Array.from((await posterior.forward(rows)).data)
}

t.test('curvature, evidence and predictions are those of the definitions', async (t: Test) => {
  const own = await fit()
  const theta = own.mean
  const r = await rewardsAt(theta)
  const logits = Array.from({ length: N }, (_, n) => r[2 * n + 1] - r[2 * n])
  const loss = logits.reduce((sum, z, n) => sum + Math.log1p(Math.exp(z)) - z * y.data[n], 0)
  t.ok(Math.abs(own.loss - loss) < 1e-9)
  const J = await Promise.all(Array.from(theta, async (_, p) => {
    const at = async (step: number): Promise<number[]> =>
      rewardsAt(theta.map((value, i) => (i === p ? value + step : value)))
    const [up, down] = [await at(1e-5), await at(-1e-5)]
    return up.map((value, i) => (value - down[i]) / 2e-5)
  }))
  const lambda = logits.map(z => 1 / (1 + Math.exp(-z)) / (1 + Math.exp(z)))
  const P = theta.length
  const H = Float64Array.from({ length: P * P }, (_, k) => {
    const [a, b] = [J[Math.floor(k / P)], J[k % P]]
    return lambda.reduce((sum, l, n) => sum + l * (a[2 * n + 1] - a[2 * n]) * (b[2 * n + 1] - b[2 * n]), 0)
  })
  t.ok(relativeDifference(sumsOf(own)[0], H) < 1e-5)
  const diagonal = await fit({ structure: 'diag' })
  t.ok(relativeDifference(sumsOf(diagonal)[0], Float64Array.from({ length: P }, (_, p) => H[p * P + p])) < 1e-5)
  const { mean, variance, predictiveVariance, probabilities } = await own.predict(rows)
  t.same([mean.shape, variance.shape, predictiveVariance, probabilities], [[2 * N, 1], [2 * N, 1], undefined,
    undefined])
  t.ok(relativeDifference(mean.data, r) < 1e-12)
  t.equal(own.likelihood, 'reward_modeling')
  t.ok(Math.abs(own.logLikelihood + loss) < 1e-9)
  const again = loadPosterior(own.save())
  t.equal(again.logMarginalLikelihood(), own.logMarginalLikelihood())
  t.same((await again.predict(rows)).variance.data, variance.data)
})

t.test('every structure and subset, tuned by the evidence, in parts and in batches', async (t: Test) => {
  for (const options of [{ structure: 'kron' }, { structure: 'blockdiag' }, { structure: 'ekfac' }, {
    structure: 'functional',
  }, { structure: 'lowrank', rank: 3 }, { structure: 'full', subset: 'last_layer' }, { structure: 'kron',
    subset: 'last_layer' }, { subset: 'subnetwork', subnetwork: [0, 3, 5] }, {
    curvature: 'empirical_fisher',
  }] as Partial<LaplaceOptions>[]) {
    const { variance } = await (await fit(options)).predict(rows)
    t.ok(variance.data.every(value => value >= 0 && Number.isFinite(value)), JSON.stringify(options))
  }
  const full = await fit()
  const functional = await fit({ structure: 'functional' })
  t.ok(
    relativeDifference((await functional.predict(rows)).variance.data, (await full.predict(rows)).variance.data) < 1e-8,
  )
  const open = await laplace(graph, { likelihood: 'reward_modeling' }).fit(pairs, y)
  t.equal(open.tuned, 'marglik')
  const parts = laplace(graph, { likelihood: 'reward_modeling', subset: 'all', structure: 'full', priorPrecision: 2 })
  const part = await parts.fitPartial(pairs, y)
  t.ok(relativeDifference(sumsOf(await parts.fitMerged(part))[0], sumsOf(full)[0]) < 1e-12)
  t.ok(relativeDifference(sumsOf(await parts.fit([{ x: pairs, y }]))[0], sumsOf(full)[0]) < 1e-12)
})

t.test('held-out pairs score the choices, and choose the prior', async (t: Test) => {
  const [seen, labels] = [draw(N, 2, D), { ...y, data: y.data.map((_, n) => n % 2) }]
  const P = 4 * (D + 2) + 1
  const scoreOf = async (posterior: LaplacePosterior): Promise<number> => {
    const ends = float64([2 * N, D], seen.data as Float64Array)
    const { mean, covariance } = await posterior.functionalVariance(ends, { joint: true })
    const S = (i: number, j: number): number => Number(covariance.data[i * 2 * N + j])
    return Array.from({ length: N }, (_, n) => {
      const [a, b] = [2 * n, 2 * n + 1]
      const z = (Number(mean.data[b]) - Number(mean.data[a]))
        / Math.sqrt(1 + Math.PI / 8 * (S(a, a) + S(b, b) - 2 * S(a, b)))
      return Math.log1p(Math.exp(z)) - z * labels.data[n]
    }).reduce((sum, loss) => sum + loss, 0) / N
  }
  for (const options of [{}, { subset: 'last_layer' }, { structure: 'kron' }, { structure: 'functional' }] as const) {
    const own = await fit(options)
    const { posterior, network } = await own.compare(seen, labels, { outliers: pairs })
    t.ok(Math.abs(posterior.nll - await scoreOf(own)) < 1e-9, JSON.stringify(options))
    t.ok('accuracy' in network)
    t.same((await loadPosterior(own.save()).compare(seen, labels)).posterior, posterior)
    const figures = await own.figures(seen, labels)
    t.equal(figures.comparison.rows, N)
  }
  await t.rejects((await fit()).conformalize(seen, labels), { code: 'BAD_COMBINATION', message: /credible/ })
  t.throws(() => laplace(graph, { likelihood: 'reward_modeling', labelSmoothing: 0.1 }), { message: /has neither/ })
  const validation = { x: seen, y: labels }
  const held = await fit({ priorPrecision: undefined, validation })
  t.equal(held.tuned, 'grid')
  const again = await (await fit()).tune({ tune: 'grid' }, { validation })
  t.equal(again.priorPrecision, held.priorPrecision)
  t.equal(again.likelihood, 'reward_modeling')
  const grid = await Promise.all(
    Array.from({ length: 17 }, async (_, i) => scoreOf(await fit({ priorPrecision: 10 ** (i / 2 - 4) }))),
  )
  t.ok(await scoreOf(held) <= Math.min(...grid) + 1e-9)
  t.equal((await held.predict(rows)).mean.shape[0], 2 * N)
  t.equal(held.parameterCount, P)
})

t.test('what is not there is refused', async (t: Test) => {
  const own = await fit()
  await t.rejects(own.compare(rows, y), ShapeError)
  await t.rejects(own.addRows(pairs, y), OptionError)
  await t.rejects(own.tune({ tune: 'auto' }, { data: { x: pairs, y } }), OptionError)
  await t.rejects(async () => fit({ tune: 'auto', priorPrecision: undefined }), OptionError)
  await t.rejects(async () => laplace(graph, { likelihood: 'reward_modeling', priorPrecision: 1 }).fit(rows, y),
    ShapeError)
  await t.rejects(
    async () => laplace(perceptron(draw, D, 4, 2, 'Tanh'), { likelihood: 'reward_modeling' }).fit(pairs, y),
    OptionError,
  )
})
