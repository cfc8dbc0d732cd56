import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { orientWeights } from '../../../core/passes/orient-weights.js'
import { float64 } from '../../../core/tensor/tensor.js'

const matrix = (rows: number, columns: number): ReturnType<typeof float64> =>
  float64([rows, columns], new Float64Array(rows * columns))

t.test('weights that are used as in x out are marked', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 3])
  let h = b.node('Gemm', [x, b.parameter('stored out x in', matrix(4, 3))], { transB: 1 })
  h = b.node('MatMul', [h, b.parameter('stored in x out', matrix(4, 5))])
  h = b.node('MatMul', [h, b.node('Transpose', [b.parameter('behind Transpose', matrix(2, 5))], { perm: [1, 0] })])
  h = b.node('MatMul', [h, b.parameter('marked already', matrix(2, 6), true)])
  const scale = b.parameter('no weight', matrix(1, 6))
  const graph = orientWeights(b.build([b.node('Mul', [h, scale])]))
  t.same(graph.parameters, [
    { name: 'stored out x in', shape: [4, 3], transposed: false },
    { name: 'stored in x out', shape: [5, 4], transposed: true },
    { name: 'behind Transpose', shape: [2, 5], transposed: false },
    { name: 'marked already', shape: [6, 2], transposed: true },
    { name: 'no weight', shape: [1, 6], transposed: false },
  ])
})

t.test('a matrix that is used both ways stays as it is', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 3])
  const w = b.parameter('w', matrix(3, 3))
  const graph = orientWeights(b.build([b.node('MatMul', [b.node('Gemm', [x, w], { transB: 1 }), w])]))
  t.same(graph.parameters, [{ name: 'w', shape: [3, 3], transposed: false }])
})
