import t from 'tap'
import { ResourceError } from '../../../core/errors/errors.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { checkBatch } from '../../../core/network/batches.js'
import { tensor } from '../../../core/tensor/tensor.js'
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
    checkBatch(1, 10, 1e6, 1000)
  }, { code: 'OUT_OF_MEMORY', message: /One example alone/ })
  t.doesNotThrow(() => {
    checkBatch(undefined, 10, 1e6, 1000)
  })
})
