/** @file Weights of few bits: what they stand for, and what is refused. */
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { numbers, runInOnnxRuntime } from './onnxruntime.js'

const bytes = (name: string, type: number, dims: number[]): Uint8Array =>
  b.tensor({ name, type, dims, raw: Uint8Array.from({ length: sizeOf(dims) }, (_, i) => (i * 37 + 11) % 256) })
const scales = (name: string, ...dims: number[]): Uint8Array =>
  b.floats(name, dims, numbers(sizeOf(dims)).map(value => 0.03 + 0.01 * value))

const network = (nodes: Uint8Array[], tensors: Uint8Array[], width: number): Uint8Array =>
  b.model({ opset: 21, ir: 10, domains: [b.opset(1, 'com.microsoft')], nodes, tensors,
    inputs: [b.value('x', ['n', width])], outputs: [b.message([[1, 'y']])] })

for (const [bits, zeros, bias] of [[4, 'none', false], [4, 'packed', true], [4, 'real', false], [8, 'packed',
  false]] as const) {
  t.test(`MatMulNBits of ${bits} bits, zero points: ${zeros}${bias ? ', and a bias' : ''}`, async t => {
    // 5 columns of 40 numbers in 3 blocks of 16, the last one not full.
    const inputs = ['x', 'q', 's', zeros === 'none' ? '' : 'z', '', bias ? 'c' : ''].slice(0,
      bias ? 6 : zeros === 'none' ? 3 : 4)
    const file = network([b.node('MatMulNBits', inputs, ['y'], { K: 40, N: 5, bits, block_size: 16 }, 'com.microsoft')],
      [
        bytes('q', b.UINT8, [5, 3, 2 * bits]),
        scales('s', 5, 3),
        zeros === 'real' ?
          b.floats('z', [5, 3], numbers(15).map(value => 7 + value)) :
          bytes('z', b.UINT8, [5, Math.ceil(3 * bits / 8)]),
        b.floats('c', [5], numbers(5)),
      ], 40)
    const graph = readOnnx(file)
    const x = new Map([['x', tensor('float32', [3, 40], numbers(120))]])
    const [ours, theirs] = [runGraph(graph, x, 'float32').get('y')!, (await runInOnnxRuntime(file, x)).get('y')!]
    t.ok(relativeDifference(ours.data, theirs.data) < 1e-5, String(relativeDifference(ours.data, theirs.data)))
    t.same(graph.parameters.map(({ name, shape }) => [name, shape]),
      [['q:real', [5, 40]], ...(bias ? [['c', [5]]] : [])]
        .sort(([a], [b]) => (String(a) < String(b) ? 1 : -1)))
  })
}

t.test('integers in another layout, and the operators of ONNX Runtime', async t => {
  const weight = (nodes: Uint8Array[], dims: number[]): Uint8Array =>
    network([...nodes, b.node('MatMul', ['x', 'w'], ['y'])], [
      b.tensor({ name: 'q', type: b.INT8, dims, raw: Uint8Array.of(1, 2, 3, 4, 5, 6) }),
      b.floats('s', [3], [1, 10, 100]),
      b.tensor({ name: 'z', type: b.INT8, dims: [3], raw: Uint8Array.of(0, 1, 2) }),
      b.integers('shape', [2], [2, 3]),
    ], 2)
  const y = (file: Uint8Array): number[] => {
    const graph = readOnnx(file)
    t.same(graph.parameters.map(({ name, shape }) => [name, shape]), [['w', [3, 2]]])
    return Array.from(runGraph(graph, new Map([['x', tensor('float32', [1, 2], [1, 0])]]), 'float32').get('y')!.data)
  }
  const dequantised = (from: string, domain?: string): Uint8Array =>
    b.node('DequantizeLinear', [from, 's', 'z'], ['w'], { axis: 1 }, domain)
  t.same(y(weight([dequantised('q')], [2, 3])), [1, 10, 100])
  t.same(y(weight([dequantised('q', 'com.microsoft')], [2, 3])), [1, 10, 100])
  t.same(
    y(weight([b.node('Cast', ['q'], ['r'], { to: b.FLOAT }), b.node('Cast', ['z'], ['o'], { to: b.FLOAT }),
      b.node('Sub', ['r', 'o'], ['d']), b.node('Mul', ['d', 's'], ['w'])], [2, 3])),
    [1, 10, 100],
    'written out',
  )
  t.same(y(weight([b.node('Transpose', ['q'], ['p'], { perm: [1, 0] }), dequantised('p')], [3, 2])), [1, 20, 300])
  t.same(y(weight([b.node('Reshape', ['q', 'shape'], ['p']), dequantised('p')], [6])), [1, 10, 100])
})

t.test('values that are quantised while a network runs, and weights stored otherwise than they say', async t => {
  const run = (file: Uint8Array, width: number): void => {
    runGraph(readOnnx(file), new Map([['x', tensor('float32', [1, width], numbers(width))]]), 'float32')
  }
  for (const op of ['QuantizeLinear', 'DynamicQuantizeLinear']) {
    t.throws(() => {
      run(network([b.node(op, op === 'QuantizeLinear' ? ['x', 's'] : ['x'], ['y'])], [scales('s', 1)], 3), 3)
    }, {
      code: 'UNSUPPORTED_OPERATOR',
      message: /use the float model it was made from/,
    })
  }
  const product = (attributes: Record<string, number>): Uint8Array =>
    network([b.node('MatMulNBits', ['x', 'q', 's'], ['y'], attributes, 'com.microsoft')], [
      bytes('q', b.UINT8, [5, 3, 8]),
      scales('s', 5, 3),
    ], 40)
  for (const attributes of [{ K: 2 ** 40, N: 5, bits: 4, block_size: 16 }, { K: 40, N: 5, bits: 3, block_size: 16 }, {
    K: 40,
    N: 5,
    bits: 4,
    block_size: 0,
  }]) {
    t.throws(() => readOnnx(product(attributes)), { code: 'BAD_GRAPH', message: /is stored otherwise/ })
  }
})
