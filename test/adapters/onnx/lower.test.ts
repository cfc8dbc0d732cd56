/** @file Operators of the core alone, written in those of ONNX and run by ONNX Runtime, against the embedded engine. */
import t, { type Test as Tap } from 'tap'
import { writeOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { factorsProgram } from '../../../core/graph/differentiate.js'
import { BATCH, concreteShape, type Graph } from '../../../core/graph/graph.js'
import { type Precision, sizeOf, type Tensor, tensor } from '../../../core/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { runInOnnxRuntime } from './onnxruntime.js'

const N = 3
const numbers = (length: number): number[] => Array.from({ length }, (_, i) => Math.sin(i + 1))

/** Values for the inputs: real ones from -1 to 1, integers below 4. */
function inputsOf(graph: Graph): Map<string, Tensor> {
  return new Map(graph.inputs.map(({ name, dtype, shape }) => {
    const extents = concreteShape(shape, N)
    const values = numbers(sizeOf(extents))
    return [name, tensor(dtype, extents, dtype === 'int64' ? values.map(value => Math.floor(2 + 2 * value)) : values)]
  }))
}

/** Whether both engines give the same values in the same shapes. */
async function agree(t: Tap, graph: Graph, precision: Precision, what: string): Promise<void> {
  const inputs = inputsOf(graph)
  const theirs = await runInOnnxRuntime(writeOnnx(graph), inputs)
  for (const [name, value] of runGraph(graph, inputs, precision)) {
    t.same(theirs.get(name)!.shape, value.shape, `${what}: ${name}`)
    t.ok(relativeDifference(theirs.get(name)!.data, value.data) < (precision === 'float32' ? 1e-5 : 1e-13), `${what}: ${name}`)
  }
}

t.test('Unfold', async t => {
  const cases = [
    { space: [7], kernel_shape: [3], strides: [2], dilations: [1], pads: [1, 2], group: 1 },
    { space: [6, 5], kernel_shape: [3, 2], strides: [1, 2], dilations: [2, 1], pads: [0, 1, 1, 0], group: 2 },
    { space: [4, 4], kernel_shape: [2, 2], strides: [2, 2], dilations: [1, 1], pads: [0, 0, 0, 0], group: 4 },
    { space: [3, 4, 3], kernel_shape: [2, 3, 2], strides: [1, 1, 1], dilations: [1, 1, 1], pads: [1, 1, 0, 0, 1, 1], group: 1 },
  ]
  for (const precision of ['float32', 'float64'] as const) for (const { space, ...attributes } of cases) {
    const b = new GraphBuilder(precision)
    await agree(t, b.build([b.node('Unfold', [b.input('x', [BATCH, 4, ...space])], attributes)]), precision, `${space.join(' x ')}, ${precision}`)
  }
})

t.test('ScatterRows', async t => {
  for (const precision of ['float32', 'float64'] as const) {
    const b = new GraphBuilder(precision)
    const g = b.input('g', [2, BATCH, 5, 3])
    const same = b.node('ScatterRows', [g, b.integers([1, 3, -1, 3, 0])], { rows: 4 })
    const own = b.node('ScatterRows', [g, b.input('ids', [BATCH, 5], 'int64')], { rows: 6 })
    await agree(t, b.build([same, own]), precision, precision)
  }
})

/** The program that computes the factors of all weights of a network, with two seeds. */
async function programAgrees(t: Tap, graph: Graph, precision: Precision, ...wanted: readonly string[]): Promise<void> {
  const program = factorsProgram(graph, graph.outputs[0], graph.parameters.map(({ name }) => name), 2).graph
  for (const name of wanted) t.ok(program.nodes.some(({ op }) => op === name), `it needs ${name}`)
  await agree(t, program, precision, precision)
}

t.test('a network of convolutions and pools', async t => {
  const b = new GraphBuilder('float32')
  const weight = (name: string, shape: number[]): string => b.parameter(name, tensor('float32', shape, numbers(sizeOf(shape))))
  const first = b.node('Relu', [b.node('Conv', [b.input('x', [BATCH, 2, 8, 8]), weight('w1', [4, 2, 3, 3]), weight('b1', [4])], { pads: [1, 1, 1, 1] })])
  const pooled = b.node('MaxPool', [first], { kernel_shape: [2, 2], strides: [2, 2] })
  const second = b.node('Tanh', [b.node('Conv', [pooled, weight('w2', [4, 2, 3, 3])], { group: 2 })])
  const graph = b.build([b.node('Gemm', [b.node('Flatten', [second]), weight('w3', [16, 3]), weight('b3', [3])])])
  await programAgrees(t, graph, 'float32', 'Unfold', 'ScatterRows')
})

t.test('a network of an embedding', async t => {
  for (const precision of ['float32', 'float64'] as const) {
    const b = new GraphBuilder(precision)
    const weight = (name: string, shape: number[]): string => b.parameter(name, tensor(precision, shape, numbers(sizeOf(shape))))
    const words = b.node('Gather', [weight('table', [5, 3]), b.input('ids', [BATCH, 4], 'int64')])
    const last = b.node('Gather', [b.node('Tanh', [words]), b.constant(tensor('int64', [2], [3, 0]))], { axis: 1 })
    await programAgrees(t, b.build([b.node('Gemm', [b.node('Flatten', [last]), weight('w', [6, 2])])]), precision, 'ScatterRows')
  }
})
