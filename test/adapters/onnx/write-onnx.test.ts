import t, { type Test as Tap } from 'tap'
import { readOnnx, writeOnnx } from '../../../adapters/onnx/index.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph, type Node } from '../../../core/graph/graph.js'
import { factorsProgram } from '../../../core/programs/factors-program.js'
import { type Precision, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { agree, numbers } from './onnxruntime.js'

/** A network with initialisers of every dtype, real attributes and integer ones. */
function network(precision: Precision): Graph {
  const b = new GraphBuilder(precision)
  const x = b.input('x', [BATCH, 4])
  const h = b.node('Tanh', [
    b.node('Gemm', [x, b.parameter('w1', tensor(precision, [3, 4], numbers(12))),
      b.parameter('b1', tensor(precision, [3], numbers(3)))], { transB: 1, alpha: 0.5 }),
  ])
  const flags = b.constant(tensor('bool', [3], [1, 0, 1]), 'flags')
  const kept = b.node('Where', [flags, h, b.scalar(0.125)])
  const rows = b.node('Reshape', [kept, b.integers([-1, 1, 3])])
  const product = b.node('MatMul', [rows, b.parameter('w2', tensor(precision, [3, 2], numbers(6)), true)])
  return b.build([b.node('Squeeze', [product, b.integers([1])])])
}

function sameGraph(t: Tap, actual: Graph, wanted: Graph): void {
  const plain = (node: Node): Node => ({ ...node, attributes: { ...node.attributes } })
  t.same(actual.nodes.map(plain), wanted.nodes.map(plain))
  t.same([actual.inputs, actual.outputs, actual.parameters], [wanted.inputs, wanted.outputs, wanted.parameters])
  t.same([...actual.initializers].sort(), [...wanted.initializers].sort())
}

t.test('a graph that is written and read is the same graph', async t => {
  for (const precision of ['float32', 'float64'] as const) {
    sameGraph(t, readOnnx(writeOnnx(network(precision))), network(precision))
  }
})

t.test('large tensors are kept beside the file, where they lie', async t => {
  const b = new GraphBuilder('float32')
  const [large, small] = [tensor('float32', [32, 64], numbers(2048)), tensor('float32', [64], numbers(64))]
  const graph = b.build([
    b.node('Gemm', [b.input('x', [BATCH, 32]), b.parameter('w', large, true), b.parameter('b', small)]),
  ])
  const kept: Uint8Array[] = []
  const bytes = writeOnnx(graph, { beside: data => `file ${kept.push(data)}` })
  t.equal(kept.length, 1)
  t.equal(kept[0].buffer, large.data.buffer, 'no copy')
  t.ok(bytes.length < large.data.byteLength / 4)
  sameGraph(t, readOnnx(bytes, { externalData: new Map([['file 1', kept[0]]]) }), graph)
})

t.test('ONNX Runtime computes what the embedded engine computes', async t => {
  for (const precision of ['float32', 'float64'] as const) {
    for (const examples of [1, 5]) await agree(t, network(precision), precision, examples)
  }
})

t.test('programs made of a network can be written too', async t => {
  const graph = network('float32')
  await agree(t, factorsProgram(graph, graph.outputs[0], graph.parameters.map(parameter => parameter.name), 2).graph,
    'float32')
})

t.test('infinite numbers and large integers are kept bit by bit', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 2])
  const clipped = b.node('Clip', [x, b.constant(tensor('float64', [], [-Infinity]), 'low'),
    b.constant(tensor('float64', [], [5e-324]), 'high')])
  const graph = b.build([b.node('Slice', [clipped, b.integers([0]), b.integers([2 ** 53 - 1]), b.integers([1])])])
  sameGraph(t, readOnnx(writeOnnx(graph)), graph)
})

t.test('graphs that cannot be written are refused', async t => {
  const b = new GraphBuilder('float32')
  const unknown = b.build([b.node('Frobnicate', [b.input('x', [BATCH, 2])])])
  t.throws(() => writeOnnx(unknown), { name: 'GraphError', code: 'UNSUPPORTED_OPERATOR' })
  const large = { dtype: 'float64', shape: [2 ** 29],
    data: { length: 2 ** 29, BYTES_PER_ELEMENT: 8 } } as unknown as Tensor
  const graph = network('float64')
  t.throws(() => writeOnnx({ ...graph, initializers: new Map([...graph.initializers, ['large', large]]) }), {
    name: 'ResourceError',
    code: 'OUT_OF_MEMORY',
    message: /at most 2147483647/,
  })
})
