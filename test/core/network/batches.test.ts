import t from 'tap'
import { ResourceError } from '../../../core/errors/errors.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { checkBatch } from '../../../core/network/batches.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { drawer, perceptron } from '../../support/random-network.js'

t.test('61 a batch beyond the memory limit is refused before it is computed, with what fits', async t => {
  const draw = drawer(1)
  const graph = perceptron(draw, 64, 64, 3, 'Tanh')
  const [x, y] = [draw(4000, 64), tensor('int64', [4000], Float64Array.from({ length: 4000 }, (_, i) => i % 3))]
  const fit = (batchSize: number, memoryLimit: number): Promise<unknown> =>
    laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'diag', tune: 'none', threads: 1,
      batchSize, memoryLimit }).fit(x, y)
  const refused = await fit(4000, 2 ** 20).catch((error: unknown) => error)
  t.match(refused, { code: 'OUT_OF_MEMORY', message: /batchSize \d+ or less/, data: { limit: 2 ** 20 } })
  if (!(refused instanceof ResourceError)) throw new Error('not refused')
  const { needed, fits } = refused.data as { needed: number, fits: number }
  t.ok(needed > 2 ** 20 && fits >= 1 && fits < 4000)
  await t.resolves(fit(fits, 2 ** 20), 'what is said to fit does')
  await t.resolves(fit(1e9, 2 ** 32), 'a batch is never larger than the data')
})

t.test('61 an example that is too large alone is told as such', async t => {
  t.throws(() => {
    checkBatch(1, 8e6, 1000)
  }, { code: 'OUT_OF_MEMORY', message: /One example alone/ })
  t.doesNotThrow(() => {
    checkBatch(1, 1000, 1000)
  })
})

/** The mean of a layer's outputs that are first repeated `times` times. */
function repeated(times: number): Graph {
  const builder = new GraphBuilder('float32')
  const h = builder.node('Gemm', [builder.input('x', [BATCH, 2]),
    builder.parameter('w', tensor('float32', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6))),
    builder.parameter('b', tensor('float32', [3], Float32Array.of(0.5, -0.5, 0)))], { transB: 1 }, 'head')
  const axis = builder.integers([1])
  const wide = builder.node('Expand', [builder.node('Unsqueeze', [h, axis], {}), builder.integers([1, times, 1])], {})
  return builder.build([builder.node('ReduceMean', [wide, axis], { keepdims: 0 })])
}

const few = float64([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])
const answers = float64([4, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])

t.test('59 a value of 4e8 numbers an example is refused by what it would need, before it is computed', async t => {
  for (const options of [{}, { subset: 'all', structure: 'diag' }, { subset: 'all', structure: 'kron' }] as const) {
    for (const batch of [{}, { batchSize: 1 }, { batchSize: 4 }]) {
      await t.rejects(laplace(repeated(130_000_000), { likelihood: 'regression', ...options, ...batch })
        .fit(few, answers), { code: 'OUT_OF_MEMORY', message: /One example alone.*raise memoryLimit to [\d.]+ GiB/ })
    }
  }
  t.ok(process.memoryUsage().rss < 1e9)
})

t.test('59 batches are as small as the widest value asks for, and what is said to be needed is enough', async t => {
  const fit = (memoryLimit: number): Promise<unknown> =>
    laplace(repeated(20_000), { likelihood: 'regression', subset: 'all', structure: 'diag', tune: 'none', memoryLimit })
      .fit(few, answers)
  const refused = await fit(2 ** 18).catch((error: unknown) => error)
  if (!(refused instanceof ResourceError)) throw new Error('not refused')
  const { needed } = refused.data as { needed: number }
  await t.resolves(fit(needed))
})
