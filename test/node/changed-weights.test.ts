/** @file Another fit of a network whose weights have changed in their arrays. */
import t from 'tap'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import { randomGenerator } from '../../core/tensor/random.js'
import { tensor } from '../../core/tensor/tensor.js'
import { laplace } from '../../node/laplace.js'

const [FEATURES, HIDDEN, CLASSES, ROWS] = [3, 40, 3, 30]
const random = randomGenerator(4)
const normals = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal())
const x = { data: normals(ROWS * FEATURES), shape: [ROWS, FEATURES] }
const y = Int32Array.from({ length: ROWS }, (_, n) => n % CLASSES)

/** Two layers, the first of more than a few weights. */
function network(hidden: Float32Array, last: Float32Array): Graph {
  const b = new GraphBuilder('float32')
  const rows = b.input('x', [BATCH, FEATURES])
  const first = b.parameter('hidden', tensor('float32', [HIDDEN, FEATURES], hidden))
  const phi = b.node('Tanh', [b.node('Gemm', [rows, first], { transB: 1 })])
  return b.build([
    b.node('Gemm', [phi, b.parameter('last', tensor('float32', [CLASSES, HIDDEN], last))], { transB: 1 }),
  ])
}

const fitted = async (graph: Graph, engine: 'typescript' | 'onnxruntime'): Promise<number> =>
  (await laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'kron', priorPrecision: 1,
    engine }).fit(x, y)).logMarginalLikelihood()

t.test('ONNX Runtime takes the weights as they are at each fit', async t => {
  const [hidden, last] = [normals(HIDDEN * FEATURES), normals(CLASSES * HIDDEN)]
  const graph = network(hidden, last)
  const before = await fitted(graph, 'onnxruntime')
  t.equal(await fitted(graph, 'onnxruntime'), before)
  hidden[5] = 3
  last[0] = -2
  const after = await fitted(graph, 'onnxruntime')
  t.not(after, before)
  t.equal(after, await fitted(network(hidden.slice(), last.slice()), 'onnxruntime'))
})

for (const engine of ['typescript', 'onnxruntime'] as const) {
  t.test(`${engine}: a weight that has become no number is refused`, async t => {
    const hidden = normals(HIDDEN * FEATURES)
    const graph = network(hidden, normals(CLASSES * HIDDEN))
    await fitted(graph, engine)
    hidden[7] = NaN
    await t.rejects(async () => fitted(graph, engine), { code: 'NOT_FINITE', message: /'hidden' .* NaN at element 7/ })
  })
}
