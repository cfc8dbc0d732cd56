/** @file The default never ends in an error on data that a network can be trained on, whatever is wrong with them. */
import t from 'tap'
import { laplace, loadPosterior } from '../../../core/index.js'
import type { Likelihood } from '../../../core/options/words.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { drawer, perceptron } from '../../support/random-network.js'

interface Hard {
  readonly likelihood: Likelihood
  readonly outputs: number
  readonly x: Tensor
  readonly y: Tensor
  readonly hidden?: number
}

const draw = drawer(31)
const classes = (n: number, of: (i: number) => number): Tensor =>
  float64([n], Array.from({ length: n }, (_, i) => of(i)))
const columns = (x: Tensor, change: (value: number, column: number, row: number) => number): Tensor => {
  const width = x.shape[1]
  return float64(x.shape, Float64Array.from(x.data, (value, i) => change(value, i % width, Math.floor(i / width))))
}

const DATA: Record<string, Hard> = {
  '200 tanh units and 150 rows': { likelihood: 'classification', outputs: 3, hidden: 200, x: draw(150, 3),
    y: classes(150, i => i % 3) },
  'one row of a class': { likelihood: 'classification', outputs: 3, x: draw(40, 3),
    y: classes(40, i => (i === 7 ? 2 : i % 2)) },
  'a class without rows': { likelihood: 'classification', outputs: 4, x: draw(40, 3), y: classes(40, i => i % 3) },
  'all rows of one class': { likelihood: 'classification', outputs: 2, x: draw(30, 3), y: classes(30, () => 0) },
  'constant features': { likelihood: 'classification', outputs: 2, x: columns(draw(40, 3), (v, c) => (c === 1 ? 4 : v)),
    y: classes(40, i => i % 2) },
  'features of very different scales': { likelihood: 'classification', outputs: 2,
    x: columns(draw(40, 3), (v, c) => v * [1e-6, 1, 1e4][c]), y: classes(40, i => i % 2) },
  'every row the same': { likelihood: 'binary', outputs: 1, x: columns(draw(20, 3), () => 1),
    y: float64([20, 1], Array.from({ length: 20 }, (_, i) => i % 2)) },
  'one row': { likelihood: 'classification', outputs: 3, x: draw(1, 3), y: classes(1, () => 1) },
  'two rows': { likelihood: 'regression', outputs: 1, x: draw(2, 3), y: draw(2, 1) },
  'one row of a regression': { likelihood: 'regression', outputs: 2, x: draw(1, 3), y: draw(1, 2) },
  'constant targets': { likelihood: 'regression', outputs: 1, x: draw(30, 3), y: columns(draw(30, 1), () => 5) },
  'targets of zero': { likelihood: 'regression', outputs: 1, x: draw(30, 3), y: columns(draw(30, 1), () => 0) },
  'outputs on scales 1 and 1000': { likelihood: 'regression', outputs: 2, x: draw(60, 3),
    y: columns(draw(60, 2), (v, c) => (c === 1 ? 1000 * v : v)) },
  'labels that never change': { likelihood: 'multilabel', outputs: 3, x: draw(25, 3),
    y: columns(draw(25, 3), (_, c) => Number(c === 1)) },
}

for (const [name, { likelihood, outputs, x, y, hidden = 6 }] of Object.entries(DATA)) {
  t.test(name, async t => {
    const graph = perceptron(draw, 3, hidden, outputs, 'Tanh')
    const posterior = await laplace(graph, { likelihood }).fit(x, y)
    const prediction = await posterior.predict(x)
    const finite = (value: Tensor | undefined): boolean => value === undefined || value.data.every(Number.isFinite)
    t.ok(
      [prediction.mean, prediction.variance, prediction.probabilities, prediction.predictiveVariance,
        prediction.novelty, prediction.epistemic].every(finite),
      'every number is finite',
    )
    t.ok(prediction.variance.data.every(value => value >= 0))
    t.ok(Number.isFinite(posterior.logMarginalLikelihood()))
    t.ok((posterior.choice?.explanation.length ?? 0) > 20, 'it says what was chosen and why')
    const again = await loadPosterior(posterior.save()).predict(x)
    t.same(again.mean.data, prediction.mean.data, 'and predicts alone from its file')
    t.same(again.novelty?.data, prediction.novelty?.data)
  })
}

t.test('noise-free targets: the noise is at its floor, and that is said', async t => {
  const graph = perceptron(draw, 3, 6, 1, 'Tanh')
  const x = draw(12, 3)
  const f = await laplace(graph, { likelihood: 'regression', priorPrecision: 1 }).fit(x, draw(12, 1))
  const y = await f.forward(x)
  const posterior = await laplace(graph, { likelihood: 'regression' }).fit(x, y)
  t.ok(Number(posterior.sigmaNoise) > 0)
  t.ok((await posterior.predict(x)).variance.data.every(Number.isFinite))
})

t.test('each output has an error bar of its own', async t => {
  const graph = perceptron(draw, 3, 6, 2, 'Tanh')
  const x = draw(80, 3)
  const f = await (await laplace(graph, { likelihood: 'regression', priorPrecision: 1 }).fit(x, draw(80, 2))).forward(x)
  const y = float64([80, 2], Float64Array.from(f.data, (value, i) => value + [0.1, 10][i % 2] * draw(1).data[0]))
  const posterior = await laplace(graph, { likelihood: 'regression' }).fit(x, y)
  const [one, other] = posterior.sigmaNoise as Float64Array
  t.ok(one > 0.05 && one < 0.2, `${one}`)
  t.ok(other > 5 && other < 20, `${other}`)
})
