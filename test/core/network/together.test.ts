import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { differencesTogether } from '../../../core/network/together.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'

/** A linear layer of 2 inputs and outputs for batches of `size` examples; `mix` adds the mean over the batch. */
function network(size: number | typeof BATCH, times = 1, mix = false): Graph {
  const builder = new GraphBuilder('float64')
  const h = builder.node('Gemm', [builder.input('x', [size, 2]), builder.parameter('w', float64([2, 2], [1, 2, 3, 4])),
    builder.parameter('b', float64([2], [0.5, -0.5]))], {}, 'head')
  const first = builder.integers([0])
  const added = mix
    ? builder.node('ReduceMean', [h, first], { keepdims: 1 })
    : builder.constant(float64([1, 2], [0, 0]))
  const mean = builder.node('Add', [h, added])
  if (times === 1) return builder.build([mean])
  const axis = builder.integers([1])
  const wide = builder.node('Expand', [builder.node('Unsqueeze', [mean, axis], {}), builder.integers([1, times, 1])])
  return builder.build([builder.node('ReduceMean', [wide, axis], { keepdims: 0 })])
}

const x = float64([6, 2], Array.from({ length: 12 }, (_, i) => Math.sin(i)))
const given = new Map([['x', x]])
const labels = tensor('int64', [6], [0, 1, 0, 1, 0, 1])

t.test('examples that are kept apart have no difference, those that are mixed have one in each batch', async t => {
  t.same([...differencesTogether(network(4), network(BATCH), given, 2 ** 20)], [0, 0])
  const mixed = [...differencesTogether(network(4, 1, true), network(BATCH), given, 2 ** 20)]
  t.equal(mixed.length, 2)
  for (const difference of mixed) t.ok(difference > 1e-3, String(difference))
})

t.test('59 a batch beyond the memory limit is refused before it is computed', async t => {
  const wide = { ...network(BATCH, 1000), together: network(4, 100_000_000) }
  await t.rejects(laplace(wide, { likelihood: 'regression', subset: 'last_layer' }).fit(x, x), { code: 'OUT_OF_MEMORY',
    message: /batches of 4 examples.*5.96 GiB.*limit of 4 GiB/ })
})

t.test('a fit that is cancelled stops before the first rows have been compared', async t => {
  const graph = { ...network(BATCH), together: network(2) }
  for (const each of [graph, network(BATCH)]) {
    const fit = laplace(each, { likelihood: 'classification' }).fit(x, labels, { signal: { aborted: true } })
    await t.rejects(fit, { code: 'CANCELLED' })
  }
})
