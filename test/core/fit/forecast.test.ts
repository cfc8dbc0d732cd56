import t from 'tap'
import { formatBytes } from '../../../core/budget/memory.js'
import { multiplicationRate } from '../../../core/budget/rate.js'
import { laplace } from '../../../core/laplace/laplace.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { nodeRuntime } from '../../../node/runtime/runtime.js'
import { drawer, perceptron } from '../../support/random-network.js'

const ALL = { likelihood: 'classification', subset: 'all', priorPrecision: 1, threads: 1 } as const

t.test('61 a forecast covers what the fit holds, and not much more', async t => {
  const draw = drawer(1)
  const [x, y] = [draw(2000, 60), tensor('int64', [2000], Float64Array.from({ length: 2000 }, (_, i) => i % 4))]
  // P = 80 x 61 + 4 x 81 = 5,204: H alone has 217 MB.
  for (const [structure, least] of [['full', 8 * 5204 ** 2], ['kron',
    8 * (60 ** 2 + 2 * 80 ** 2 + 80 ** 2)]] as const) {
    const prepared = laplace(perceptron(draw, 60, 80, 4, 'Tanh'), { ...ALL, structure })
    const { bytes, stages } = prepared.forecast({ rows: 2000, predict: 100 })
    t.same(stages.map(({ stage }) => stage), ['fit', 'predict', 'save'])
    t.equal(bytes, Math.ceil(Math.max(...stages.map(stage => stage.bytes))))
    t.ok(bytes > least && bytes < 8 * least + (200 << 20), `${structure}: ${formatBytes(bytes)}`)
    if (structure !== 'kron') continue
    const before = process.memoryUsage().rss
    await prepared.fit(x, y)
    const grown = process.memoryUsage().rss - before
    t.ok(grown < stages[0].bytes, `${formatBytes(grown)} grown of ${formatBytes(stages[0].bytes)}`)
  }
})

t.test('61 features of a last layer are summed without rows of J; threads make eigenvectors', t => {
  const last = (sizes: [number, number, number], structure: 'full' | 'kron'): number =>
    laplace(perceptron(drawer(6), ...sizes, 'Tanh'), { ...ALL, subset: 'last_layer', structure }, nodeRuntime)
      .forecast({ rows: 1200, predict: 600 }).bytes
  // Measured: 40 MB beyond the process for P = 330, and 155 MB for P = 1,290.
  t.ok(last([64, 32, 10], 'full') < 60e6, formatBytes(last([64, 32, 10], 'full')))
  t.ok(last([256, 128, 10], 'full') > 120e6, formatBytes(last([256, 128, 10], 'full')))
  const threads = (count: number): number =>
    laplace(perceptron(drawer(7), 20, 512, 500, 'Tanh'), { ...ALL, subset: 'last_layer', structure: 'kron',
      threads: count }, nodeRuntime).forecast({ rows: 500, predict: 20 }).bytes
  // A thread has a heap and the library's code of its own.
  t.ok(threads(2) - threads(1) > 2 * (18 << 20), `${formatBytes(threads(2))} ${formatBytes(threads(1))}`)
  t.end()
})

t.test('61 ONNX Runtime has a share of a forecast', t => {
  const bytes = (engine: 'typescript' | 'onnxruntime'): number =>
    laplace(perceptron(drawer(8), 20, 30, 3, 'Tanh'), { ...ALL, structure: 'kron', engine }, nodeRuntime)
      .forecast({ rows: 500 }).bytes
  // Measured: 37 MB more.
  t.ok(Math.abs(bytes('onnxruntime') - bytes('typescript') - 40e6) < 15e6)
  t.end()
})

t.test('a forecast of time grows with the rows, and is in the measure of this machine', async t => {
  const prepared = laplace(perceptron(drawer(2), 200, 300, 10, 'Relu'), { ...ALL, structure: 'kron' })
  const seconds = (rows: number): number => prepared.forecast({ rows }).stages[0].seconds
  // A forward pass and ten backward ones through 60,000 weights, and the Gram matrices.
  const least = 1e5 * 63_000 / multiplicationRate()
  t.ok(seconds(1e5) > least && seconds(1e5) < 100 * least, `${seconds(1e5)} s of at least ${least}`)
  t.ok(Math.abs(seconds(1e6) / seconds(1e5) - 10) < 1)
  t.ok(prepared.forecast({ rows: 1e6 }).bytes < 2 * prepared.forecast({ rows: 1e4 }).bytes,
    'rows in batches are not held')
})

t.test('every kind of fit has a forecast', async t => {
  const kinds: LaplaceOptions[] = [
    { likelihood: 'classification' },
    { likelihood: 'classification', subset: 'last_layer' },
    { likelihood: 'classification', subset: 'last_layer', structure: 'full' },
    { likelihood: 'regression', subset: 'all', structure: 'diag' },
    { likelihood: 'classification', subset: 'all', structure: 'blockdiag', blocks: 'tensor', tune: 'marglik' },
    { likelihood: 'binary', subset: 'all', structure: 'full', tune: 'marglik' },
  ]
  for (const options of kinds) {
    const outputs = options.likelihood === 'binary' ? 1 : 3
    const { bytes, seconds, stages } = laplace(perceptron(drawer(3), 5, 8, outputs, 'Tanh'), options)
      .forecast({ rows: 1000, predict: 10, samples: 7 })
    t.ok(bytes > 0 && bytes < 2 ** 30 && seconds > 0 && seconds < 600, JSON.stringify(options))
    t.ok(stages.some(({ stage }) => stage === 'sample'))
  }
})

t.test('rows beyond those that are solved exactly are part of the forecast', async t => {
  const prepared = laplace(perceptron(drawer(5), 30, 300, 3, 'Tanh'), { likelihood: 'classification' })
  const [few, many] = [2000, 20_000].map(rows => prepared.forecast({ rows }).stages[0].seconds)
  // At least the gradients: eleven pairs of products of all rows, six multiplications a weight each.
  const least = 20_000 * 11 * 6 * 10_000 / 2e10
  t.ok(many > few + 0.8 * least && many < 720, `${few} s, ${many} s`)
})

t.test('counts that are none, and unknown words, are refused', async t => {
  const prepared = laplace(perceptron(drawer(4), 5, 8, 3, 'Tanh'), { likelihood: 'classification' })
  for (const rows of [0, -1, 1.5, NaN]) t.throws(() => prepared.forecast({ rows }), { code: 'BAD_OPTION' })
  t.throws(() => prepared.forecast({ rows: 10, predicts: 3 } as never), { code: 'UNKNOWN_OPTION', message: /predict/ })
})

t.test('structures that keep rows, or vectors, are forecast with them', async t => {
  const draw = drawer(12)
  const [x, y] = [draw(400, 40), tensor('int64', [400], Float64Array.from({ length: 400 }, (_, i) => i % 4))]
  // P = 80 x 41 + 4 x 81 = 3,604; three rows of V an example.
  const row = 8 * 3 * 3604
  for (const [options, least, rows] of [[{ structure: 'functional' }, 400 * row, 400], [{ structure: 'functional',
    nSubset: 100 }, 100 * row, 400], [{ structure: 'functional', nSubset: 100, nystroem: true }, 100 * row, 400], [{
    structure: 'lowrank',
    rank: 50,
  }, 8 * 50 * 3604, 400], [{ structure: 'ekfac' }, 8 * 3604, 400], [{ structure: 'samples', samples: 200 },
    8 * 200 * 3604, 400]] as const) {
    const prepared = laplace(perceptron(draw, 40, 80, 4, 'Tanh'), { ...ALL, ...options })
    const { stages } = prepared.forecast({ rows, predict: 100 })
    t.ok(stages[0].bytes > 2 * least, `${JSON.stringify(options)}: ${formatBytes(stages[0].bytes)}`)
    const before = process.memoryUsage().rss
    await (await prepared.fit(x, y)).predict(x)
    const grown = process.memoryUsage().rss - before
    // What is garbage of the fit may still be there when the prediction ends.
    const both = stages[0].bytes + stages[1].bytes
    t.ok(grown < 1.2 * both, `${formatBytes(grown)} grown of ${formatBytes(both)}`)
  }
})

t.test('ekfac: its second pass over the rows is forecast, and tells its progress', async t => {
  const [x, y] = [drawer(3)(300, 20), tensor('int64', [300], Float64Array.from({ length: 300 }, (_, i) => i % 3))]
  const graph = perceptron(drawer(2), 20, 30, 3, 'Tanh')
  const [kron, ekfac] = (['kron', 'ekfac'] as const).map(structure => laplace(graph, { ...ALL, structure }))
  const [plain, twice] = [kron, ekfac].map(prepared => prepared.forecast({ rows: 100_000 }).stages[0])
  t.ok(twice.seconds > plain.seconds && twice.seconds < 5 * plain.seconds, `${plain.seconds} ${twice.seconds}`)
  t.ok(twice.bytes > plain.bytes)
  const ends: number[] = []
  await ekfac.fit(x, y, { onProgress: ({ stage, done }) => {
    if (stage === 'fit' && done === 300) ends.push(done)
  } })
  t.equal(ends.length, 2, 'both passes come to their end')
})
