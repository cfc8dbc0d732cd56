import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { generator } from '../kernels/random-matrix.js'

const random = generator(2)
const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => random() - 0.5)
const CHANNELS = 64
const ROWS = 40

t.test('a network of many multiplications is cut into batches between which a fit can be cancelled', async t => {
  // 64 x 64 x 9 x 1,024 = 38 million multiplications a layer and row.
  const b = new GraphBuilder('float32')
  let h = b.input('x', [BATCH, CHANNELS, 32, 32])
  for (const name of ['a', 'b', 'c', 'd']) {
    const weight = b.parameter(name, { dtype: 'float32', shape: [CHANNELS, CHANNELS, 3, 3],
      data: numbers(CHANNELS ** 2 * 9) })
    h = b.node('Relu', [b.node('Conv', [h, weight], { pads: [1, 1, 1, 1] })])
  }
  const pooled = b.node('Flatten', [b.node('GlobalAveragePool', [h])])
  const head = b.parameter('head', { dtype: 'float32', shape: [3, CHANNELS], data: numbers(3 * CHANNELS) })
  const network = b.build([b.node('Gemm', [pooled, head], { transB: 1 })])
  const x = { dtype: 'float32', shape: [ROWS, CHANNELS, 32, 32], data: numbers(ROWS * CHANNELS * 1024) } as const
  const y = { dtype: 'int64', shape: [ROWS], data: Float64Array.from({ length: ROWS }, (_, i) => i % 3) } as const
  const signal = { aborted: false }
  const done: number[] = []
  const fit = laplace(network, { likelihood: 'classification', subset: 'last_layer', structure: 'kron',
    priorPrecision: 1 })
    .fit(x, y, { signal, onProgress: progress => {
      done.push(progress.done)
      signal.aborted = true
    } })
  await t.rejects(fit, { code: 'CANCELLED' })
  t.same(done.length, 1)
  t.ok(done[0]! <= 25, `the first batch holds ${done[0]} rows`)
})
