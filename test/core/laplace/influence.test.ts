/** @file Rows left out in closed form against posteriors that have forgotten them. */
import t from 'tap'
import { laplace } from '../../../core/index.js'
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
