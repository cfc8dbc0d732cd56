/** @file The linear model over all weights leaves scale and shift of normalisations as they are. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, loadPosterior } from '../../../core/index.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer } from '../../support/random-network.js'

const draw = drawer(8)
const positive = (n: number) => float64([n], Float64Array.from(draw(n).data, value => 0.5 + Math.abs(Number(value))))

/** A perceptron with a normalisation before its activation; its scale and shift parameters, or not. */
function normalised(op: 'BatchNormalization' | 'LayerNormalization', values: Values, learnt: boolean,
  ofMean = false): Graph {
  const builder = new GraphBuilder('float64')
  const own = (name: string, value: Values[keyof Values]) =>
    learnt ? builder.parameter(name, value) : builder.constant(value)
  let x = ofMean
    ? builder.node('ReduceMean', [builder.input('x', [BATCH, 1, 4]), builder.integers([1])], { keepdims: 0 })
    : builder.input('x', [BATCH, 4])
  x = builder.node('Gemm', [x, builder.parameter('a.weight', values.a), builder.parameter('a.bias', values.b)], {
    transB: 1,
  })
  const beside = op === 'BatchNormalization' ? [builder.constant(values.mean), builder.constant(values.variance)] : []
  x = builder.node(op, [x, own('norm.weight', values.scale), own('norm.bias', values.shift), ...beside], {
    epsilon: 1e-5,
  })
  x = builder.node('Tanh', [x])
  return builder.build([
    builder.node('Gemm', [x, builder.parameter('c.weight', values.c), builder.parameter('c.bias', values.d)], {
      transB: 1,
    }),
  ])
}

const VALUES = { a: draw(6, 4), b: draw(6), scale: positive(6), shift: draw(6), mean: draw(6), variance: positive(6),
  c: draw(3, 6), d: draw(3) }
type Values = typeof VALUES

const x = draw(40, 4)
const y = float64([40], Array.from({ length: 40 }, (_, n) => n % 3))
const other = draw(5, 4)

for (const op of ['BatchNormalization', 'LayerNormalization'] as const) {
  t.test(`${op}: the answer is that of a network whose scale and shift are constants`, async t => {
    const graph = normalised(op, VALUES, true)
    const posterior = await laplace(graph, { likelihood: 'classification' }).fit(x, y)
    const constant = await laplace(normalised(op, VALUES, false), { likelihood: 'classification' }).fit(x, y)
    t.equal(posterior.structure, 'lowrank')
    t.same(posterior.parameters.map(({ name }) => name), ['a.weight', 'a.bias', 'c.weight', 'c.bias'])
    t.ok(posterior.notes.some(note => note.includes("('norm.weight', 'norm.bias') keep their values")))
    const [one, two] = [await posterior.predict(other), await constant.predict(other)]
    t.ok(relativeDifference(one.probabilities?.data ?? [], two.probabilities?.data ?? []) < 1e-9)
    t.ok(relativeDifference(one.variance.data, two.variance.data) < 1e-9)
    for (const network of [true, false]) {
      const bytes = posterior.save({ network })
      const again = loadPosterior(bytes, network ? {} : { network: graph })
      t.same((await again.predict(other)).probabilities?.data, one.probabilities?.data)
    }
  })
}

t.test('other structures have them among their parameters', async t => {
  const posterior = await laplace(normalised('BatchNormalization', VALUES, true), { likelihood: 'classification',
    subset: 'all', structure: 'kron', tune: 'none' }).fit(x, y)
  t.equal(posterior.parameters.length, 6)
  t.notOk(posterior.notes.some(note => note.includes('keep their values')))
})

t.test('inputs of another length have the parameters that the posterior is over', async t => {
  const graph = normalised('LayerNormalization', VALUES, true, true)
  const open = { ...graph, inputs: graph.inputs.map(input => ({ ...input, openAxes: [1] })) }
  const [one, twice] = [1, 2].map(times =>
    tensor('float64', [40, times, 4], Array.from({ length: 40 * times * 4 }, (_, i) =>
      x.data[Math.floor(i / (4 * times)) * 4 + i % 4]))
  )
  for (const options of [{}, { subset: 'all', structure: 'lowrank', rank: 5 }] as const) {
    const posterior = await laplace(open, { likelihood: 'classification', ...options }).fit(one, y)
    const [short, long] = [await posterior.predict(one), await posterior.predict(twice)]
    t.ok(relativeDifference(long.variance.data, short.variance.data) < 1e-9, JSON.stringify(options))
  }
})
