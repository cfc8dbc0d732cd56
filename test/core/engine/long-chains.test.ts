/** @file 59 of the list of attacks: chains of many nodes take time in proportion to their length. */
import t from 'tap'
import { BufferPool } from '../../../core/engine/buffer-pool.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { float64 } from '../../../core/tensor/tensor.js'

/** w x + b, negated so many times. */
function chain(length: number): Graph {
  const builder = new GraphBuilder('float64')
  let value = builder.node('Gemm', [builder.input('x', [BATCH, 2]), builder.parameter('w', float64([1, 2], [1, -2])),
    builder.parameter('b', float64([1], [0.5]))], { transB: 1 }, 'line')
  for (let i = 0; i < length; i++) value = builder.node('Neg', [value], {})
  return builder.build([value])
}

t.test('59 a chain of 10,000 nodes is fitted and predicts as its head alone does', async t => {
  const [x, y] = [float64([4, 2], [1, 2, 3, 4, 5, 7, 8, -1]), float64([4, 1], [-2, -4, -9, 10])]
  const predict = async (length: number) => {
    const posterior = await laplace(chain(length), { likelihood: 'regression', structure: 'full', subset: 'all',
      tune: 'none' }).fit(x, y)
    return posterior.predict(x)
  }
  const [short, long] = [await predict(0), await predict(10_000)]
  t.same([...long.mean.data], [...short.mean.data])
  t.same([...long.variance.data], [...short.variance.data])
})

t.test('59 the pool finds the block of a value, however many there are', t => {
  const count = 200_000
  const pool = new BufferPool()
  pool.beginRun()
  const values = Array.from({ length: count }, () => pool.allocate('float64', 2))
  for (const value of values) pool.retain(value)
  pool.settle()
  t.equal(pool.peakBytes, count * 16)
  for (const value of values) pool.release(value)
  const again = pool.allocate('float64', 2)
  t.ok(values.some(({ buffer, byteOffset }) => buffer === again.buffer && byteOffset === again.byteOffset))
  t.equal(pool.peakBytes, count * 16)
  t.end()
})
