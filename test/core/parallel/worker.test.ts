/** @file A worker whose engine computes several batches at once. */
import t from 'tap'
import type { ChosenEngine } from '../../../core/engine/chosen-engine.js'
import { typescriptEngine } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { prepareNetwork } from '../../../core/network/network.js'
import type { FitKind, LabelledBatch } from '../../../core/parallel/batch-sums.js'
import { createWorker } from '../../../core/parallel/worker.js'
import { createEvaluator } from '../../../core/programs/evaluator.js'
import { float64 } from '../../../core/tensor/tensor.js'

/** The embedded engine, whose first run takes longest: runs that start together end in the opposite order. */
function slowEngine(): ChosenEngine {
  const engine = typescriptEngine()
  let delay = 40
  return {
    ...engine,
    announceWork: async () => 'typescript',
    expectWork: async () => 'typescript',
    compile: async (graph, precision) => {
      const program = await engine.compile(graph, precision)
      return { ...program, run: async (inputs, options) => {
        delay -= 10
        await new Promise(resolve => setTimeout(resolve, delay))
        return program.run(inputs, options)
      } }
    },
  }
}

function network() {
  const b = new GraphBuilder('float64')
  const h = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, 2]), b.parameter('w', float64([2, 2], [1, -1, 2, 3])),
      b.parameter('b', float64([2], [0.5, 0]))], { transB: 1 }),
  ])
  return prepareNetwork(b.build([b.node('Gemm', [h, b.parameter('v', float64([1, 2], [1, -2]))], { transB: 1 })]),
    'regression')
}

const batch = (...x: number[]): LabelledBatch => ({ x: new Map([['x', float64([x.length / 2, 2], x)]]),
  labels: Float64Array.from({ length: x.length / 2 }, (_, i) => i), examples: x.length / 2 })
const batches = [batch(1, 2, 3, 4), batch(-1, 0.5), batch(0, 1, 2, -2, 1, 1)]

for (const subset of ['last_layer', 'all'] as const) {
  for (const structure of ['kron', 'full', 'diag'] as const) {
    t.test(`${subset}, ${structure}: batches of one shard that are given together are all counted`, async t => {
      const kind: FitKind = { structure, curvature: 'ggn', draws: 1, seed: 0, kfacApprox: 'expand', keepFeatures: false,
        seedsAtOnce: 1 }
      const [together, inTurn] = [0, 1].map(() =>
        createWorker(createEvaluator(network(), subset, slowEngine(), 'float64'), 'regression')
      )
      await Promise.all(batches.map(each => together.add(kind, 5, each)))
      for (const each of batches) await inTurn.add(kind, 5, each)
      const [sums, expected] = [await together.collect(5), await inTurn.collect(5)]
      t.equal(sums?.examples, 6)
      t.equal(sums?.loss, expected?.loss)
      t.same(sums?.curvature, expected?.curvature)
    })
  }
}
