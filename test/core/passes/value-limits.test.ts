import t from 'tap'
import { compileGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'

const network = (build: (b: GraphBuilder, x: string) => string): Graph => {
  const b = new GraphBuilder('float64')
  return b.build([build(b, b.input('x', [BATCH, 2]))])
}
const big = 2 ** 40

t.test('a few bytes that ask for a huge value are refused before anything is allocated', async t => {
  const bombs: Record<string, (b: GraphBuilder, x: string) => string> = {
    Expand: (b, x) =>
      b.node('Add', [x, b.node('ReduceSum', [b.node('Expand', [b.scalar(1), b.integers([2 ** 20, 2 ** 20])])])]),
    ConstantOfShape: (b, x) =>
      b.node('Add', [x,
        b.node('ReduceSum', [b.node('ConstantOfShape', [b.integers([big])], { value: float64([1], [1]) })])]),
    Range: (b, x) =>
      b.node('Add', [x, b.node('ReduceSum', [b.node('Range', [b.scalar(0), b.scalar(big), b.scalar(1)])])]),
    Pad: (b, x) =>
      b.node('Add', [x, b.node('ReduceSum', [b.node('Pad', [b.constant(float64([1], [1])), b.integers([big, 0])])])]),
    Gather: (b, x) =>
      b.node('Add', [x, b.node('ReduceSum', [
        b.node('Gather', [b.constant(float64([1, 2 ** 13], new Float64Array(2 ** 13))),
          b.constant(tensor('int64', [2 ** 12], new Float64Array(2 ** 12)))]),
      ])]),
    'Expand of an example': (b, x) =>
      b.node('ReduceSum', [b.node('Expand', [b.node('Unsqueeze', [x, b.integers([2])]), b.integers([1, 1, big])]),
        b.integers([1, 2])]),
    'Pad of an example': (b, x) =>
      b.node('ReduceSum', [b.node('Pad', [x, b.integers([0, big, 0, 0])]), b.integers([1])]),
  }
  for (const [name, build] of Object.entries(bombs)) {
    t.throws(() => inferTypes(network(build)), { code: 'BAD_GRAPH', message: /elements/ }, name)
    t.throws(() => compileGraph(network(build), 'float64'), { code: 'BAD_GRAPH' }, `${name}, compiled`)
  }
})

t.test('growth from node to node is refused', async t => {
  const graph = network((b, x) => {
    let value = b.node('Expand', [b.scalar(1), b.integers([2 ** 22])])
    for (let i = 0; i < 10; i++) value = b.node('Concat', [value, b.node('Neg', [value])], { axis: 0 })
    return b.node('Add', [x, b.node('ReduceSum', [value])])
  })
  const before = process.memoryUsage().arrayBuffers
  t.throws(() => compileGraph(graph, 'float64'), { code: 'BAD_GRAPH', message: /without its input/ })
  t.ok(process.memoryUsage().arrayBuffers - before < 2 ** 29)
})

t.test('many constants of medium size are not all kept', async t => {
  const graph = network((b, x) => {
    const parts = Array.from({ length: 200 },
      (_, i) => b.node('ReduceSum', [b.node('Expand', [b.scalar(i), b.integers([1 << 16])])]))
    return b.node('Add', [x, parts.reduce((sum, part) => b.node('Add', [sum, part]))])
  })
  const types = inferTypes(graph)
  const kept = [...types.values()].reduce((sum, { constant }) => sum + (constant?.data.length ?? 0), 0)
  t.ok(kept < 5e6)
  t.equal(
    [...types.values()].filter(({ constant }) => constant !== undefined && constant.data.length === 1 << 16).length,
    64,
  )
})

t.test('weights may be as large as they are', async t => {
  const b = new GraphBuilder('float32')
  const w = b.constant({ dtype: 'float32', shape: [2 ** 13, 2 ** 12], data: new Float32Array(2 ** 25) })
  t.doesNotThrow(() => inferTypes(b.build([b.node('Transpose', [w], { perm: [1, 0] })])))
})

t.test('extents must be sizes', async t => {
  t.throws(() => inferTypes(network((b, x) => b.node('Reshape', [x, b.integers([-1, -2])]))), { code: 'BAD_GRAPH' })
})
