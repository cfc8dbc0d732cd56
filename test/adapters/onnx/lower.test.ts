/** @file Operators of the core alone, written in those of ONNX and run by ONNX Runtime, against the embedded engine. */
import t, { type Test as Tap } from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { factorsProgram } from '../../../core/programs/factors-program.js'
import { jvpProgram } from '../../../core/programs/jvp-program.js'
import { type Precision, sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { agree, numbers } from './onnxruntime.js'

t.test('Unfold', async t => {
  const cases = [
    { space: [7], kernel_shape: [3], strides: [2], dilations: [1], pads: [1, 2], group: 1 },
    { space: [6, 5], kernel_shape: [3, 2], strides: [1, 2], dilations: [2, 1], pads: [0, 1, 1, 0], group: 2 },
    { space: [4, 4], kernel_shape: [2, 2], strides: [2, 2], dilations: [1, 1], pads: [0, 0, 0, 0], group: 4 },
    { space: [3, 4, 3], kernel_shape: [2, 3, 2], strides: [1, 1, 1], dilations: [1, 1, 1], pads: [1, 1, 0, 0, 1, 1],
      group: 1 },
  ]
  for (const precision of ['float32', 'float64'] as const) {
    for (const { space, ...attributes } of cases) {
      const b = new GraphBuilder(precision)
      await agree(t, b.build([b.node('Unfold', [b.input('x', [BATCH, 4, ...space])], attributes)]), precision)
    }
  }
})

t.test('ScatterRows', async t => {
  for (const precision of ['float32', 'float64'] as const) {
    const b = new GraphBuilder(precision)
    const g = b.input('g', [2, BATCH, 5, 3])
    const same = b.node('ScatterRows', [g, b.integers([1, 3, -1, 3, 0])], { rows: 4 })
    const own = b.node('ScatterRows', [g, b.input('ids', [BATCH, 5], 'int64')], { rows: 6 })
    await agree(t, b.build([same, own]), precision)
  }
})

/** The programs of the factors of all weights of a network, with two seeds, and of the products with two tangents. */
async function programAgrees(t: Tap, graph: Graph, precision: Precision, ...wanted: readonly string[]): Promise<void> {
  const names = graph.parameters.map(({ name }) => name)
  const program = factorsProgram(graph, graph.outputs[0], names, 2).graph
  for (const name of wanted) t.ok(program.nodes.some(({ op }) => op === name), `it needs ${name}`)
  await agree(t, program, precision)
  // Every layer rounds the tangents of the layers below once more.
  const tolerance = precision === 'float32' ? 3e-6 : 1e-14
  await agree(t, jvpProgram(graph, graph.outputs[0], names, 2).graph, precision, 3, tolerance)
}

t.test('a network of convolutions and pools', async t => {
  const b = new GraphBuilder('float32')
  const weight = (name: string, shape: number[]): string =>
    b.parameter(name, tensor('float32', shape, numbers(sizeOf(shape))))
  const first = b.node('Relu', [
    b.node('Conv', [b.input('x', [BATCH, 2, 8, 8]), weight('w1', [4, 2, 3, 3]), weight('b1', [4])], {
      pads: [1, 1, 1, 1],
    }),
  ])
  const pooled = b.node('MaxPool', [first], { kernel_shape: [2, 2], strides: [2, 2] })
  const second = b.node('Tanh', [b.node('Conv', [pooled, weight('w2', [4, 2, 3, 3])], { group: 2 })])
  const graph = b.build([b.node('Gemm', [b.node('Flatten', [second]), weight('w3', [16, 3]), weight('b3', [3])])])
  await programAgrees(t, graph, 'float32', 'Unfold', 'ScatterRows')
})

t.test('a network of an embedding', async t => {
  for (const precision of ['float32', 'float64'] as const) {
    const b = new GraphBuilder(precision)
    const weight = (name: string, shape: number[]): string =>
      b.parameter(name, tensor(precision, shape, numbers(sizeOf(shape))))
    const words = b.node('Gather', [weight('table', [5, 3]), b.input('ids', [BATCH, 4], 'int64')])
    const last = b.node('Gather', [b.node('Tanh', [words]), b.constant(tensor('int64', [2], [3, 0]))], { axis: 1 })
    await programAgrees(t, b.build([b.node('Gemm', [b.node('Flatten', [last]), weight('w', [6, 2])])]), precision,
      'ScatterRows')
  }
})
