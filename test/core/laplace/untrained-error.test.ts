/** @file How much a last layer's linear model gets, by the same network with shuffled weights. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import type { Graph } from '../../../core/graph/graph.js'
import { BATCH } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/index.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { drawer, perceptron } from '../../support/random-network.js'

const SHUFFLED = /The same network with shuffled weights, .* names ([\d.]+) % of the rows left out wrongly/
const draw = drawer(5)

/** Rows about three corners, with the labels of the corners; of `noise` rows another one. */
function corners(rows: number, noise: number): { x: Tensor, y: Tensor } {
  const labels = Array.from({ length: rows }, (_, n) => n % 3)
  const { data } = draw(rows, 3)
  const x = float64([rows, 3],
    Float64Array.from(data, (value, i) => Number(value) + 8 * Number(labels[Math.floor(i / 3)] === i % 3)))
  return { x, y: float64([rows], labels.map((label, n) => (n < noise ? (label + 1) % 3 : label))) }
}

const network = perceptron(draw, 3, 12, 3, 'Tanh')

async function fitted(graph: Graph, { x, y }: { x: Tensor, y: Tensor }): Promise<LaplacePosterior> {
  return laplace(graph, { likelihood: 'classification', subset: 'last_layer' }).fit(x, y)
}

const rateOf = ({ choice }: LaplacePosterior): number | undefined => {
  const found = SHUFFLED.exec(choice?.explanation ?? '')
  return found === null ? undefined : Number(found[1]) / 100
}

t.test('labels that the inputs do not say are found out, whatever the features are', async t => {
  const easy = rateOf(await fitted(network, corners(90, 0)))
  const hard = rateOf(await fitted(network, corners(90, 30)))
  t.ok(easy !== undefined && easy < 0.05)
  t.ok(hard !== undefined && hard > 0.2)
})

t.test('a stream of batches and tuning again ask the same rows', async t => {
  const { x, y } = corners(90, 20)
  const whole = await fitted(network, { x, y })
  const part = (from: number, to: number): { x: Tensor, y: Tensor } => ({
    x: float64([to - from, 3], Float64Array.from(x.data.slice(3 * from, 3 * to))),
    y: float64([to - from], Float64Array.from(y.data.slice(from, to))),
  })
  const streamed = await laplace(network, { likelihood: 'classification', subset: 'last_layer' })
    .fit([part(0, 40), part(40, 90)])
  t.equal(rateOf(streamed), rateOf(whole))
  t.ok(Math.abs((streamed.choice?.linearWeight ?? 0) - (whole.choice?.linearWeight ?? 1)) < 1e-9)
  const again = await whole.tune({ tune: 'auto' }, { data: { x, y } })
  t.equal(rateOf(again), rateOf(whole))
})

t.test('without weights before the last layer there is nothing to shuffle', async t => {
  const builder = new GraphBuilder('float64')
  const input = builder.input('x', [BATCH, 3])
  const output = builder.node('Gemm', [input, builder.parameter('w', draw(3, 3)), builder.parameter('b', draw(3))], {
    transB: 1,
  })
  t.equal(rateOf(await fitted(builder.build([output]), corners(60, 10))), undefined)
})

t.test('two classes ask too', async t => {
  const { x, y } = corners(60, 5)
  const two = perceptron(draw, 3, 6, 2, 'Tanh')
  const rate = rateOf(
    await fitted(two, { x, y: float64([60], Array.from(y.data, label => Math.min(1, Number(label)))) }),
  )
  t.ok(rate !== undefined && rate < 0.5)
})
