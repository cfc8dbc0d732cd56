/** @file Work spread over threads: the same bytes for any number of them. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { laplace } from '../../../index.js'
import { startWorkerThreads } from '../../../node/runtime/worker-threads.js'

const random = randomGenerator(3)
const draw = (...shape: number[]) =>
  tensor('float32', shape, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.3 * random.normal()))

function network() {
  const b = new GraphBuilder('float32')
  const hidden = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, 100]), b.parameter('0.weight', draw(80, 100)),
      b.parameter('0.bias', draw(80))], { transB: 1 }),
  ])
  return b.build([
    b.node('Gemm', [hidden, b.parameter('2.weight', draw(5, 80)), b.parameter('2.bias', draw(5))], { transB: 1 }),
  ])
}

const graph = network()
const n = 3000
const x = draw(n, 100)
const y = Float64Array.from({ length: n }, (_, i) => i % 5)
const rows = draw(2000, 100)
const unseen = draw(20, 12)
const few = draw(20, 100)

t.test('threads that never get work do not hold the process', t => {
  const held = () => process.getActiveResourcesInfo().filter(name => name === 'MessagePort').length
  const before = held()
  startWorkerThreads({ network: prepareNetwork(graph, 'classification'), subset: 'all', precision: 'float32',
    likelihood: 'classification', form: {}, engine: 'typescript' }, 2)
  t.equal(held(), before)
  t.end()
})

t.test('the linear model of more rows than are solved exactly: 1 and 2 threads', async t => {
  const b = new GraphBuilder('float32')
  const hidden = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, 12]), b.parameter('0.weight', draw(420, 12)),
      b.parameter('0.bias', draw(420))], { transB: 1 }),
  ])
  const wide = b.build([
    b.node('Gemm', [hidden, b.parameter('2.weight', draw(3, 420)), b.parameter('2.bias', draw(3))], { transB: 1 }),
  ])
  const [given, labels] = [draw(600, 12), Float64Array.from({ length: 600 }, (_, i) => i % 3)]
  const results = []
  for (const threads of [1, 2]) {
    const posterior = await laplace(wide, { likelihood: 'classification', memoryLimit: 2 ** 26, threads }).fit(given,
      labels)
    const { choice, logMarginalLikelihood } = posterior.summary()
    t.match(choice?.reason, /are those of all 600 rows/)
    const { probabilities, variance } = await posterior.predict(unseen)
    results.push({ delta: choice?.delta, logMarginalLikelihood, probabilities: probabilities!.data,
      variance: variance.data })
  }
  t.strictSame(results[1], results[0], 'to the last bit')
})

for (const structure of ['kron', 'diag'] as const) {
  t.test(`${structure}: 1, 2 and 3 threads`, async t => {
    const results = []
    for (const threads of [1, 2, 3]) {
      const posterior = await laplace(graph, { likelihood: 'classification', subset: 'all', structure, threads,
        priorPrecision: 1, batchSize: 100 }).fit(x, y)
      const { probabilities, variance } = await posterior.predict(rows)
      results.push({ evidence: posterior.logMarginalLikelihood(), variance: variance.data,
        probabilities: probabilities!.data })
    }
    t.same(results[1].evidence, results[0].evidence)
    t.same(results[2].evidence, results[0].evidence)
    t.ok(Buffer.from(results[1].variance.buffer).equals(Buffer.from(results[0].variance.buffer)))
    t.ok(Buffer.from(results[2].probabilities.buffer).equals(Buffer.from(results[0].probabilities.buffer)))
  })
}

const asked = [['weights', {}, 3], ['sampled labels', { curvature: 'mc_fisher', seed: 2 }, undefined], [
  'weights of sampled labels',
  { curvature: 'mc_fisher', seed: 2 },
  3,
]] as const
for (const [what, options, modulus] of asked) {
  t.test(`rows with ${what}: 1 and 2 threads`, async t => {
    const sampleWeight = modulus && Float64Array.from({ length: n }, (_, i) => i % modulus)
    const variances = []
    for (const threads of [1, 2]) {
      const posterior = await laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'kron', threads,
        priorPrecision: 1, batchSize: 100, ...options }).fit(x, y, sampleWeight && { sampleWeight })
      variances.push((await posterior.predict(few)).variance.data)
    }
    t.strictSame(variances[1], variances[0], 'to the last bit')
  })
}

t.test('an error in a later batch, and cancellation, leave the threads usable', async t => {
  const fit = laplace(graph, { likelihood: 'classification', subset: 'all', threads: 2, priorPrecision: 1,
    batchSize: 100 })
  const labels = y.slice()
  labels[n - 1] = 7
  await t.rejects(fit.fit(x, labels), { code: 'BAD_LABELS' })
  const controller = new AbortController()
  await t.rejects(fit.fit(x, y, { signal: controller.signal, onProgress: ({ done }) => {
    if (done > 500) controller.abort()
  } }), { code: 'CANCELLED' })
  const posterior = await fit.fit(x, y)
  const other = await laplace(graph, { likelihood: 'classification', subset: 'all', threads: 1, priorPrecision: 1,
    batchSize: 100 }).fit(x, y)
  t.equal(posterior.logMarginalLikelihood(), other.logMarginalLikelihood())
})
