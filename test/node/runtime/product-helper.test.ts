/** @file Products that two threads share: the bytes of one. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { gemm, type ProductHelper, SHARED_BYTES, useProductHelper } from '../../../core/kernels/product.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { productHelper } from '../../../node/runtime/product-helper.js'

const random = randomGenerator(2)
const [M, N, K] = [1003, 617, 521]

/** The helper, once its thread is there, and how often it was used. */
async function counted(): Promise<{ readonly helper: ProductHelper, readonly used: () => number }> {
  const share = productHelper(2)
  let used = 0
  const helper: ProductHelper = (product, part) => {
    const wait = share?.(product, part)
    if (wait !== undefined) used++
    return wait
  }
  return { helper, used: () => used }
}

t.test('one thread has no helper', async t => {
  t.equal(productHelper(1), undefined)
})

t.test('the numbers of a shared product are those of one that is not', async t => {
  const { helper, used } = await counted()
  for (const Numbers of [Float64Array, Float32Array]) {
    const [a, b, c] = [M * K, K * N, M * N].map(size => new Numbers(size).map(() => random.uniform() - 0.5)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ]
    for (const [transA, transB] of [[false, false], [true, false], [false, true]]) {
      for (const beta of [0, 1]) {
        const alone = c.slice()
        gemm(transA!, transB!, M, N, K, 1, a, b, beta, alone)
        const before = used()
        const shared = c.slice()
        for (let tries = 0; used() === before && tries < 200; tries++) {
          shared.set(c)
          useProductHelper(helper)
          gemm(transA!, transB!, M, N, K, 1, a, b, beta, shared)
          useProductHelper(undefined)
          // Its thread may still be starting.
          if (used() === before) await setTimeout(20)
        }
        t.equal(used(), before + 1)
        t.ok(Buffer.from(shared.buffer).equals(Buffer.from(alone.buffer)), `${transA} ${transB} beta ${beta}`)
      }
    }
  }
})

t.test('of matrices larger than the shared memory, parts are shared, and the numbers stay', async t => {
  const { helper, used } = await counted()
  const large = 800_000
  for (const [m, n, k] of [[20, 20, large], [20, large, 20], [large, 20, 20]] as const) {
    const [a, b] = [m * k, k * n].map(size => new Float32Array(size).map(() => random.uniform() - 0.5)) as [
      Float32Array,
      Float32Array,
    ]
    const alone = new Float32Array(m * n).fill(0.5)
    const shared = alone.slice()
    gemm(true, false, m, n, k, 2, a, b, 3, alone)
    const before = used()
    let largest = 0
    useProductHelper((product, part) => {
      largest = Math.max(largest, 4 * (part.rows * part.columns + (part.rows + part.columns) * part.depth))
      return helper(product, part)
    })
    gemm(true, false, m, n, k, 2, a, b, 3, shared)
    useProductHelper(undefined)
    t.ok(used() > before + 1, `${used() - before} parts`)
    t.ok(largest > SHARED_BYTES / 8 && largest <= SHARED_BYTES, `${largest} bytes`)
    t.ok(Buffer.from(shared.buffer).equals(Buffer.from(alone.buffer)), `${m} x ${n} x ${k}`)
  }
})

t.test('few rows are not shared, however wide the matrix is', t => {
  const [m, n, k] = [4, 9000, 9000]
  const [a, b, c] = [new Float32Array(m * k).fill(1), new Float32Array(k * n), new Float32Array(m * n)]
  b[(k - 1) * n + n - 1] = 2
  let shared = 0
  useProductHelper(() => {
    shared++
    return undefined
  })
  try {
    gemm(false, false, m, n, k, 1, a, b, 0, c)
  } finally {
    useProductHelper(undefined)
  }
  t.equal(shared, 0)
  t.equal(c[n - 1], 2)
  t.equal(c[m * n - 1], 2)
  t.end()
})
