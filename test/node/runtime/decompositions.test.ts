/** @file Eigen-decompositions in other threads: their numbers, their progress, and their end when cancelled. */
import t from 'tap'

import type { Progress } from '../../../core/budget/progress.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { laplace } from '../../../index.js'
import { allowed, fastest } from '../../support/time-limits.js'

/** As many random rows as features, a layer for them, and the posterior of a prior that is given. */
async function fitted(width: number, threads: number, subset: 'all' | 'last_layer',
  work: { readonly signal?: AbortSignal, readonly onProgress?: (progress: Progress) => void } = {}) {
  const random = randomGenerator(3)
  const draw = (...shape: number[]) =>
    tensor('float64', shape, random.fillNormal(new Float64Array(shape.reduce((a, b) =>
      a * b, 1))).map(value => value / Math.sqrt(width)))
  const b = new GraphBuilder('float64')
  const graph = b.build([
    b.node('Gemm', [b.input('x', [BATCH, width]), b.parameter('w', draw(3, width)), b.parameter('b', draw(3))], {
      transB: 1,
    }),
  ])
  const y = Float64Array.from({ length: width }, (_, i) => i % 3)
  const posterior = await laplace(graph, { likelihood: 'classification', subset, structure: 'kron', priorPrecision: 1,
    threads }).fit(draw(width, width), y, work)
  return { posterior, row: draw(1, width) }
}

t.test('one and two threads give the same numbers', async t => {
  const results = []
  for (const threads of [1, 2]) {
    const { posterior, row } = await fitted(400, threads, 'all')
    results.push((await posterior.predict(row)).variance.data)
  }
  t.strictSame(results[1], results[0])
})

t.test('a decomposition says how far it is, ends within 200 ms, and leaves the posterior as it was', async t => {
  const { posterior, row } = await fitted(1200, 2, 'last_layer')
  const late = await fastest(200, async () => {
    const controller = new AbortController()
    let cancelled = 0
    const onProgress = ({ stage, done }: { readonly stage: string, readonly done: number }): void => {
      if (stage !== 'predict' || done === 0 || done === 100 || cancelled > 0) return
      cancelled = performance.now()
      controller.abort()
    }
    await t.rejects(posterior.predict(row, { signal: controller.signal, onProgress }), { code: 'CANCELLED' })
    t.ok(cancelled > 0, 'it told hundredths on the way')
    return performance.now() - cancelled
  })
  t.ok(late < allowed(200), `ended ${late.toFixed(0)} ms after`)
  const { variance } = await posterior.predict(row)
  t.ok(variance.data.every(value => value > 0))
})

t.test("of all weights they are the fit's work, which ends within 200 ms too, and no prediction waits", async t => {
  const late = await fastest(200, async () => {
    const controller = new AbortController()
    let cancelled = 0
    const onProgress = ({ stage, done }: { readonly stage: string, readonly done: number }): void => {
      if (stage !== 'tune' || done === 0 || done === 100 || cancelled > 0) return
      cancelled = performance.now()
      controller.abort()
    }
    await t.rejects(fitted(1200, 2, 'all', { signal: controller.signal, onProgress }), { code: 'CANCELLED' })
    return performance.now() - cancelled
  })
  t.ok(late < allowed(200), `ended ${late.toFixed(0)} ms after`)
  const { posterior, row } = await fitted(1200, 2, 'all')
  const told: (number | undefined)[] = []
  await posterior.predict(row, { onProgress: ({ total }) => told.push(total) })
  t.notOk(told.includes(100), 'no hundredths of a decomposition')
})
