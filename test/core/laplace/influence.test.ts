/** @file Rows left out in closed form against posteriors that have forgotten them. */
import t from 'tap'
import { laplace, mergePartialFits, readPartialFit, writePartialFit } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { exampleRange } from '../../../core/tensor/examples.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { Posterior } from '../../../node/posterior.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 8
const draw = drawer(4)
const graph = perceptron(draw, 3, 4, 2, 'Tanh')
const x = draw(N, 3)

for (const likelihood of ['classification', 'regression', 'multilabel', 'poisson', 'heteroscedastic'] as const) {
  t.test(`${likelihood}: variances are those of the posterior that has forgotten the row`, async t => {
    const width = likelihood === 'classification' || likelihood === 'heteroscedastic' ? 1 : 2
    const y = float64(likelihood === 'classification' ? [N] : [N, width], Array.from({ length: N * width }, (_, i) =>
      (i * 7 + 3) % 2))
    for (const subset of ['all', 'last_layer'] as const) {
      const posterior = await laplace(graph, { likelihood, subset, structure: 'full', priorPrecision: 2,
        ...(likelihood === 'regression' ? { sigmaNoise: 0.5 } : {}) }).fit(x, y)
      const { mean, variance, loss, change } = await posterior.influence(x, y, { at: x })
      for (const n of [0, 5]) {
        const row = exampleRange(x, n, n + 1) as Tensor
        const label = float64([1, ...y.shape.slice(1)], y.data.slice(n * width, (n + 1) * width))
        const without = await (await posterior.forget(row, label)).predict(row, { uncertainty: false })
        t.ok(relativeDifference(variance.data.slice(2 * n, 2 * n + 2), without.variance.data) < 1e-8)
        for (let c = 0; c < 2; c++) {
          const moved = Number(mean.data[2 * n + c]) - Number(without.mean.data[c])
          t.ok(Math.abs(Number(change?.data[(2 * n + c) * N + n]) - moved) < 1e-9 * (1 + Math.abs(moved)))
        }
      }
      t.ok(loss.data.every(Number.isFinite))
      const arrays = await new Posterior(posterior).influence(x, y)
      t.strictSame([arrays.mean.shape, arrays.loss.shape, arrays.change], [[N, 2], [N], undefined])
    }
  })
}

for (const structure of ['blockdiag', 'kron', 'diag', 'functional', 'full'] as const) {
  t.test(`${structure}: each row is left out as the posterior that has forgotten it has it`, async t => {
    const targets = drawer(6)(N, 2)
    const classes = float64([N], Array.from({ length: N }, (_, i) => (i * 7 + 3) % 2))
    const curvatures = structure === 'functional' ? ['ggn'] as const : ['ggn', 'empirical_fisher'] as const
    for (const curvature of curvatures) {
      for (const likelihood of ['regression', 'classification'] as const) {
        const [y, width] = likelihood === 'regression' ? [targets, 2] : [classes, 1]
        const options = { likelihood, curvature, subset: 'all', priorPrecision: [1, 2, 3, 4],
          ...(likelihood === 'regression' ? { sigmaNoise: 0.5 } : {}) } as const
        const posterior = await laplace(graph, { ...options, structure }).fit(x, y)
        const { mean, variance, change } = await posterior.influence(x, y, { at: x })
        const scale = likelihood === 'regression' ? 4 : 1
        for (const n of [0, 5]) {
          const row = exampleRange(x, n, n + 1) as Tensor
          const label = float64([1, ...y.shape.slice(1)], y.data.slice(n * width, (n + 1) * width))
          // All rows of `functional` are the full curvature, which can forget.
          const whole = structure === 'functional'
            ? await laplace(graph, { ...options, structure: 'full' }).fit(x, y)
            : posterior
          const without = await whole.forget(row, label)
          const f = (await posterior.forward(row)).data
          const S = (await without.functionalVariance(row)).covariance.data
          const top = Math.max(f[0], f[1])
          const total = Math.exp(f[0] - top) + Math.exp(f[1] - top)
          const slope = [0, 1].map(c =>
            likelihood === 'regression'
              ? f[c] - label.data[c]
              : Math.exp(f[c] - top) / total - Number(label.data[0] === c)
          )
          for (let c = 0; c < 2; c++) {
            const left = f[c] + scale * (S[2 * c] * slope[0] + S[2 * c + 1] * slope[1])
            t.ok(Math.abs(Number(mean.data[2 * n + c]) - left) < 1e-8 * (1 + Math.abs(left)), `${curvature} mean`)
            t.ok(Math.abs(Number(variance.data[2 * n + c]) - S[3 * c]) < 1e-8 * S[3 * c], `${curvature} variance`)
            const moved = Number(change?.data[(2 * n + c) * N + n])
            t.ok(Math.abs(moved - left + f[c]) < 1e-8 * (1 + Math.abs(left)), `${curvature} change`)
          }
        }
      }
    }
  })
}

t.test('structures that do not say what they would be without a row refuse, and name those that do', async t => {
  const y = float64([N], Array.from({ length: N }, (_, i) => i % 2))
  for (const options of [{ structure: 'ekfac' }, { structure: 'lowrank', rank: 3 }, { structure: 'functional',
    nSubset: 3 }] as const) {
    const posterior = await laplace(graph, { likelihood: 'classification', subset: 'all', priorPrecision: 1,
      ...options }).fit(x, y)
    await t.rejects(posterior.influence(x, y), { code: 'BAD_COMBINATION', message: /blockdiag/ })
  }
})

for (const structure of ['full', 'blockdiag', 'kron', 'diag', 'functional'] as const) {
  t.test(`${structure}: of a weighted fit all of a row's weight is left out`, async t => {
    const y = drawer(6)(N, 2)
    const sampleWeight = structure === 'functional' ? [2, 1, 3, 1, 0, 1, 2, 1] : [2, 1, 0.5, 1, 0, 3, 1, 1.5]
    const prepared = laplace(graph, { likelihood: 'regression', subset: 'all', structure, priorPrecision: 2,
      sigmaNoise: 0.5 })
    const posterior = await prepared.fit(x, y, { sampleWeight })
    const { mean, variance, loss } = await posterior.influence(x, y, { sampleWeight })
    for (const n of [0, 2, 4, 5]) {
      const others = sampleWeight.map((weight, i) => (i === n ? 0 : weight))
      const row = exampleRange(x, n, n + 1) as Tensor
      const without = await prepared.fit(x, y, { sampleWeight: others })
      const S = (await without.functionalVariance(row)).covariance.data
      const f = (await posterior.forward(row)).data
      const target = y.data.slice(2 * n, 2 * n + 2)
      const error = [0, 1].map(c => Number(f[c]) - Number(target[c]))
      const left = [0, 1].map(c =>
        Number(f[c]) + 4 * sampleWeight[n] * (Number(S[2 * c]) * error[0] + Number(S[2 * c + 1]) * error[1])
      )
      t.ok(relativeDifference(mean.data.slice(2 * n, 2 * n + 2), left) < 1e-7, `mean of row ${n}`)
      t.ok(relativeDifference(variance.data.slice(2 * n, 2 * n + 2), [S[0], S[3]]) < 1e-7, `variance of row ${n}`)
      const square = left.reduce((sum, value, c) => sum + (value - Number(target[c])) ** 2, 0)
      t.ok(Math.abs(Number(loss.data[n]) - square / 2) < 1e-7 * (1 + square), `loss of row ${n}`)
    }
  })
}

t.test('the rows of a weighted fit come with their weights, from a file and in parts too', async t => {
  const y = drawer(6)(N, 2)
  const sampleWeight = [2, 1, 0.5, 1, 0, 3, 1, 1.5]
  const prepared = laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full', priorPrecision: 2,
    sigmaNoise: 0.5 })
  const whole = await prepared.fit(x, y, { sampleWeight })
  const part = readPartialFit(writePartialFit(await prepared.fitPartial(x, y, { sampleWeight })))
  const merged = await prepared.fitMerged(mergePartialFits(part, await prepared.fitPartial(x, y, { chunk: 'more' })))
  const added = await (await prepared.fit(x, y)).addRows(x, y, { sampleWeight })
  for (const posterior of [whole, loadPosterior(whole.save()), merged, added]) {
    await t.rejects(posterior.influence(x, y), { code: 'BAD_COMBINATION', message: /sampleWeight/ })
  }
  const ones = await prepared.fit(x, y, { sampleWeight: new Array<number>(N).fill(1) })
  t.same(await ones.influence(x, y), await (await prepared.fit(x, y)).influence(x, y))
})
