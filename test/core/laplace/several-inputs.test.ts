/** @file A network of several inputs has the posterior of the same network whose inputs are columns of one. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { type Examples, forward, laplace, type LaplaceOptions, loadPosterior } from '../../../core/index.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { nodeRuntime } from '../../../node/runtime/runtime.js'
import { relativeDifference } from '../../support/compare.js'

const random = randomGenerator(5)
const draws = (...shape: number[]) =>
  float64(shape, Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()))
const [table, w1, w2] = [draws(4, 2), draws(6, 5), draws(3, 6)]
const N = 30
const numbers = draws(N, 3)
const categories = tensor('int64', [N], Float64Array.from({ length: N }, (_, i) => i % 4))
const y = tensor('int64', [N], Float64Array.from({ length: N }, (_, i) => i * 7 % 3))

function ended(b: GraphBuilder, x: string, c: string): Graph {
  const embedded = b.node('Reshape', [b.node('Gather', [b.parameter('table', table), c]), b.integers([-1, 2])])
  const h = b.node('Tanh', [
    b.node('Gemm', [b.node('Concat', [x, embedded], { axis: 1 }), b.parameter('w1', w1)], { transB: 1 }),
  ])
  return b.build([b.node('Gemm', [h, b.parameter('w2', w2)], { transB: 1 })])
}

function several(): Graph {
  const b = new GraphBuilder('float64')
  return ended(b, b.input('x', [BATCH, 3]), b.input('c', [BATCH], 'int64'))
}

function single(): Graph {
  const b = new GraphBuilder('float64')
  const all = b.input('all', [BATCH, 4])
  const [x, c] = b.nodeOutputs('Split', [all, b.integers([3, 1])], 2, { axis: 1 })
  return ended(b, x, b.node('Cast', [c], { to: 7 }))
}

const joined = float64([N, 4],
  Float64Array.from({ length: 4 * N },
    (_, i) => (i % 4 < 3 ? numbers.data[Math.floor(i / 4) * 3 + i % 4] : categories.data[Math.floor(i / 4)])))
const byName: Examples = [{ name: 'c', values: categories }, { name: 'x', values: numbers }]
const byPlace: Examples = [{ values: numbers }, { values: categories }]

for (
  const options of [{ subset: 'last_layer', structure: 'full' }, { subset: 'all', structure: 'kron' }, { subset: 'all',
    structure: 'diag', threads: 2, batchSize: 4 }, {}, { validation: 0.2 }, { tune: 'marglik', subset: 'all' }] as const
) {
  t.test(`${JSON.stringify(options)}`, async t => {
    const all: LaplaceOptions = { likelihood: 'classification', ...options } as LaplaceOptions
    const expected = await laplace(single(), all, nodeRuntime).fit(joined, y)
    const posterior = await laplace(several(), all, nodeRuntime).fit(byName, y)
    const want = await expected.predict(joined)
    for (const x of [byName, byPlace]) {
      const got = await posterior.predict(x)
      t.ok(relativeDifference(got.probabilities!.data, want.probabilities!.data) < 1e-9)
      t.ok(relativeDifference(got.variance.data, want.variance.data) < 1e-9)
    }
    const again = loadPosterior(posterior.save(), {}, nodeRuntime)
    t.ok(relativeDifference((await again.predict(byName)).variance.data, want.variance.data) < 1e-9, 'saved')
  })
}

t.test('batches, samples and the rest', async t => {
  const options = { likelihood: 'classification', subset: 'all', structure: 'full', tune: 'none' } as const
  const expected = await laplace(single(), options).fit(joined, y)
  const half = (from: number, to: number) => ({
    x: [{ name: 'x', values: float64([to - from, 3], numbers.data.slice(3 * from, 3 * to)) }, { name: 'c',
      values: tensor('int64', [to - from], categories.data.slice(from, to)) }],
    y: tensor('int64', [to - from], y.data.slice(from, to)),
  })
  const posterior = await laplace(several(), options).fit([half(0, 11), half(11, N)])
  t.ok(relativeDifference(posterior.H.toDense(), expected.H.toDense()) < 1e-12)
  const joint = { joint: true }
  t.ok(
    relativeDifference((await posterior.functionalVariance(byName, joint)).covariance.data,
      (await expected.functionalVariance(joined, joint)).covariance.data) < 1e-9,
  )
  for (const predictive of ['glm', 'nn'] as const) {
    t.ok(
      relativeDifference((await posterior.functionalSamples(byPlace, 3, { predictive, seed: 1 })).data,
        (await expected.functionalSamples(joined, 3, { predictive, seed: 1 })).data) < 1e-9,
      predictive,
    )
  }
  t.match(await posterior.compare(byName, y), { rows: N })
  t.ok(relativeDifference((await forward(several(), byName)).data, (await forward(single(), joined)).data) < 1e-12)
  const prepared = laplace(several(), options)
  const merged = await prepared.fitMerged(await prepared.fitPartial(byName, y))
  t.ok(relativeDifference(merged.H.toDense(), expected.H.toDense()) < 1e-12, 'partial fits')
})

t.test('the option input names the only one', async t => {
  t.throws(() => laplace(several(), { likelihood: 'classification', input: 'x' }), { code: 'AMBIGUOUS_NETWORK',
    message: /depends on the input 'c' too. Leave the option input out/ })
  t.throws(() => laplace(several(), { likelihood: 'classification', input: 'z' }), { message: /no input 'z'/ })
})

t.test('a category that the embedding does not have', async t => {
  const posterior = laplace(several(), { likelihood: 'classification' })
  const wrong = tensor('int64', [N], categories.data.map(c => c + 1))
  await t.rejects(posterior.fit([{ name: 'x', values: numbers }, { name: 'c', values: wrong }], y), { code: 'BAD_ARRAY',
    message: /the input 'c' must hold integers from 0 to 3.*found 4/ })
})

t.test('columns of the fit are known to the saved posterior', async t => {
  const columns = ['a', 'b', 'd', 'c']
  const posterior = await laplace(single(), { likelihood: 'classification' }).fit([{ values: joined, columns }], y)
  const want = (await posterior.predict(joined)).mean.data
  const order = [3, 0, 2, 1]
  const other = float64([N, 4],
    Float64Array.from({ length: 4 * N }, (_, i) => joined.data[Math.floor(i / 4) * 4 + order[i % 4]]))
  const again = loadPosterior(posterior.save())
  t.same((await again.predict([{ values: other, columns: order.map(i => columns[i]) }])).mean.data, want)
  await t.rejects(again.predict([{ values: other, columns: ['a', 'b', 'c', 'e'] }]), { code: 'BAD_ARRAY' })
})
