import t from 'tap'
import { forward } from '../../../core/answer/forward.js'
import type { WorkOptions } from '../../../core/budget/progress.js'
import type { Engine } from '../../../core/engine/engine.js'
import { typescriptEngine } from '../../../core/engine/typescript.js'
import { ResourceError } from '../../../core/errors/errors.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { checkBatch } from '../../../core/network/batches.js'
import type { Runtime } from '../../../core/parallel/runtime.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
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
function repeated(times: number, end = (_builder: GraphBuilder, mean: string): string => mean): Graph {
  const builder = new GraphBuilder('float32')
  const h = builder.node('Gemm', [builder.input('x', [BATCH, 2]),
    builder.parameter('w', tensor('float32', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6))),
    builder.parameter('b', tensor('float32', [3], Float32Array.of(0.5, -0.5, 0)))], { transB: 1 }, 'head')
  const axis = builder.integers([1])
  const wide = builder.node('Expand', [builder.node('Unsqueeze', [h, axis], {}), builder.integers([1, times, 1])], {})
  return builder.build([end(builder, builder.node('ReduceMean', [wide, axis], { keepdims: 0 }))])
}

const few = float64([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])
const answers = float64([4, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])

t.test('59 a value of 4e8 numbers an example is refused by what it would need, before it is computed', async t => {
  for (const options of [{}, { subset: 'all', structure: 'diag' }, { subset: 'all', structure: 'kron' }] as const) {
    for (const batch of [{}, { batchSize: 1 }, { batchSize: 4 }]) {
      await t.rejects(
        laplace(repeated(130_000_000), { likelihood: 'regression', memoryLimit: 2 ** 30, ...options, ...batch })
          .fit(few, answers),
        { code: 'OUT_OF_MEMORY', message: /One example alone.*raise memoryLimit to [\d.]+ GiB/ },
      )
    }
  }
  t.ok(process.memoryUsage().rss < 1e9)
})

t.test('59 batches are as small as the widest value asks for, and what is said to be needed is enough', async t => {
  const fit = (memoryLimit: number): Promise<unknown> =>
    laplace(repeated(20_000), { likelihood: 'regression', subset: 'all', structure: 'diag', tune: 'none', memoryLimit })
      .fit(few, answers)
  const refused = await fit(2 ** 17).catch((error: unknown) => error)
  if (!(refused instanceof ResourceError)) throw new Error('not refused')
  const { needed } = refused.data as { needed: number }
  await t.resolves(fit(needed))
})

/** The embedded engine, and how many examples each of its runs has had. */
function watched(): { readonly runtime: Runtime, readonly runs: readonly number[] } {
  const [own, runs]: [Engine, number[]] = [typescriptEngine(), []]
  const engine: Engine = { ...own, compile: async (graph, precision) => {
    const program = await own.compile(graph, precision)
    return { ...program, run: (x, options) => {
      runs.push(x.get('x')?.shape[0] ?? 0)
      return program.run(x, options)
    } }
  } }
  return { runs, runtime: { engine: async () => engine } }
}

const labels = { classification: tensor('int64', [4], Float64Array.of(0, 1, 2, 0)),
  multilabel: float64([4, 3], answers.data.map(i => i % 2)) }

t.test('59 the first outputs of classes are looked at in batches that fit, and where none does not at all', async t => {
  // An example's values take 240 kB.
  const graph = repeated(20_000)
  for (const likelihood of ['classification', 'multilabel'] as const) {
    for (const subset of ['all', 'last_layer'] as const) {
      const looked = async (memoryLimit: number) => {
        const { runtime, runs } = watched()
        const options = { likelihood, subset, structure: 'diag', tune: 'none', threads: 1, memoryLimit } as const
        const failure = await laplace(graph, options, runtime).fit(few, labels[likelihood]).then(() => 0,
          (error: unknown) => error)
        return { runs, failure }
      }
      const none = await looked(1e5)
      t.match(none.failure, { code: 'OUT_OF_MEMORY', message: /One example alone/ })
      t.strictSame(none.runs, [], `${likelihood} ${subset}: nothing is computed`)
      const { runs } = await looked(5e5)
      t.ok(runs.length > 0 && Math.max(...runs) <= 2, `${likelihood} ${subset}: runs of ${runs.join()} examples`)
      t.strictSame((await looked(2 ** 30)).runs.slice(0, 2), [1, 4],
        'where they fit the first is looked at, then four together')
    }
  }
})

/** A product with a matrix whose rows sum to 1: only the values show that these are probabilities. */
const stirred = (op: 'Softmax' | 'Sigmoid') => (builder: GraphBuilder, z: string): string =>
  builder.node('MatMul', [builder.node(op, [z]),
    builder.constant(float64([3, 3], [0.9999, 1e-4, 0, 0, 0.9999, 1e-4, 1e-4, 0, 0.9999]))])

t.test('59 outputs are taken for probabilities whatever the batches in which they are looked at', async t => {
  const x = drawer(4)(300, 2)
  const kinds = {
    classification: ['Softmax', tensor('int64', [300], Float64Array.from({ length: 300 }, (_, i) => i % 3))],
    multilabel: ['Sigmoid', float64([300, 3], (await forward(repeated(1), x)).data.map(z => Number(z > 0)))],
  } as const
  for (const likelihood of ['classification', 'multilabel'] as const) {
    const [op, y] = kinds[likelihood]
    const fit = async (memoryLimit: number) => {
      const { runtime, runs } = watched()
      const options = { likelihood, subset: 'all', structure: 'diag', tune: 'none', threads: 1, memoryLimit } as const
      return { runs, posterior: await laplace(repeated(500, stirred(op)), options, runtime).fit(x, y) }
    }
    const [free, tight] = [await fit(2 ** 30), await fit(2 ** 17)]
    t.strictSame(free.runs.slice(0, 3), [1, 4, 256], 'where they fit they are looked at together')
    t.ok(Math.max(...tight.runs) < 30, 'else in small batches')
    t.match(free.posterior.notes.join(), /in the training rows/)
    t.strictSame(tight.posterior.notes, free.posterior.notes)
    t.ok(relativeDifference(tight.posterior.H.toDense(), free.posterior.H.toDense()) < 1e-5)
  }
})

/** A convolution of 1 to 8 channels on 28 x 28, pooled into ten classes. */
function convolution(): Graph {
  const [draw, builder] = [drawer(2), new GraphBuilder('float64')]
  const z = builder.node('Conv', [builder.input('x', [BATCH, 1, 28, 28]), builder.parameter('w', draw(8, 1, 3, 3)),
    builder.parameter('b', draw(8))], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })
  const pooled = builder.node('Flatten', [builder.node('GlobalAveragePool', [builder.node('Tanh', [z])])])
  return builder.build([
    builder.node('Gemm', [pooled, builder.parameter('v', draw(10, 8)), builder.parameter('c', draw(10))], {
      transB: 1,
    }),
  ])
}

/** The largest step of a progress. */
async function largestBatch(run: (work: WorkOptions) => Promise<unknown>): Promise<number> {
  let [before, largest] = [0, 0]
  await run({ onProgress: ({ done }) => {
    largest = Math.max(largest, done - before)
    before = done
  } })
  return largest
}

t.test('61 a batch holds tens of megabytes also where positions make its values large', async t => {
  const x = drawer(3)(400, 1, 28, 28)
  const y = tensor('int64', [400], Float64Array.from({ length: 400 }, (_, i) => i % 10))
  // Ten gradients of 8 x 28 x 28 numbers an example: 0.5 MB.
  const most = (64 << 20) / (10 * 8 * 28 * 28 * 8)
  const prepared = laplace(convolution(), { likelihood: 'classification', subset: 'all', structure: 'diag',
    tune: 'none', threads: 1 })
  const fitted = await largestBatch(work => prepared.fit(x, y, work))
  t.ok(fitted > 1 && fitted < most, `a fit takes ${fitted} rows at once`)
  const posterior = await prepared.fit(x, y)
  const predicted = await largestBatch(work => posterior.predict(x, { link: 'probit' }, work))
  t.ok(predicted > 1 && predicted < most / 2, `a prediction takes ${predicted}`)
})

t.test('61 draws with drawn weights are held to the memory limit too', async t => {
  const options = { likelihood: 'regression', tune: 'none', memoryLimit: 2 ** 20 } as const
  const small = await laplace(repeated(100), options).fit(few, answers)
  const large = await laplace(repeated(50_000), { ...options, memoryLimit: 2 ** 30 }).fit(few, answers)
  const limited = new LaplacePosterior({ ...large.state, options: { ...large.state.options, memoryLimit: 2 ** 18 } })
  await t.resolves(small.functionalSamples(few, 2, { predictive: 'nn' }))
  await t.rejects(limited.functionalSamples(few, 2, { predictive: 'nn' }), { code: 'OUT_OF_MEMORY' })
  await t.rejects(limited.forward(few), { code: 'OUT_OF_MEMORY' })
})
