/** @file What structure 'kron' says of tensors that have no Kronecker factors. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/index.js'
import { float64 } from '../../../core/tensor/tensor.js'

const numbers = (...shape: number[]) => {
  const length = shape.reduce((a, b) => a * b, 1)
  return float64(shape, Float64Array.from({ length }, (_, i) => Math.sin(i + 1)))
}

async function notesOf(channels: number, structure: 'kron' | 'diag'): Promise<string> {
  const b = new GraphBuilder('float64')
  const kernel = b.parameter('kernel', numbers(2, channels, 3, 3))
  const wide = b.node('Tanh', [b.node('ConvTranspose', [b.input('x', [BATCH, 2, 2, 2]), kernel])])
  const rows = b.node('Reshape', [wide, b.integers([-1, channels * 16])])
  const graph = b.build([b.node('Gemm', [rows, b.parameter('head', numbers(2, channels * 16))], { transB: 1 })])
  const prepared = laplace(graph, { likelihood: 'classification', subset: 'all', structure, tune: 'none' })
  const posterior = await prepared.fit(numbers(6, 2, 2, 2), float64([6], Float64Array.of(0, 1, 0, 1, 0, 1)))
  return posterior.notes.join(' ')
}

t.test('a transposed convolution with a diagonal alone is named', async t => {
  t.match(await notesOf(4, 'kron'), /of 'kernel' structure 'kron' keeps the diagonal alone/)
  t.notMatch(await notesOf(3, 'kron'), /diagonal alone/, 'a dense block')
  t.notMatch(await notesOf(4, 'diag'), /diagonal alone/)
})
