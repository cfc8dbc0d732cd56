import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { tensor } from '../../../core/tensor/tensor.js'
import * as b from './onnx-bytes.js'

const names = (graph: Graph): string[] => graph.parameters.map(({ name, transposed }) => name + (transposed ? "'" : ''))
const numbers = (length: number, from = 1): number[] => Array.from({ length }, (_, i) => from + i)

/** A network from x of shape n x ...dims. */
function network(nodes: Uint8Array[], tensors: Uint8Array[], dims: number[] = [2],
  fields: Parameters<typeof b.model>[0] = {}): Uint8Array {
  return b.model({ nodes, tensors, inputs: [b.value('x', ['n', ...dims])], outputs: [b.value('y', ['n', undefined])],
    ...fields })
}

t.test('parameters are in the order of the file, weights out x in', async t => {
  const graph = readOnnx(network(
    [b.node('MatMul', ['x', 'w1'], ['p']), b.node('Add', ['b1', 'p'], ['q']), b.node('Tanh', ['q'], ['r']),
      b.node('Gemm', ['r', 'w2'], ['y'], { transB: 1 })],
    [b.floats('w2', [1, 3], numbers(3)), b.floats('b1', [3], numbers(3)), b.floats('w1', [2, 3], numbers(6))],
  ))
  t.same(graph.parameters, [{ name: 'w2', shape: [1, 3], transposed: false }, { name: 'b1', shape: [3],
    transposed: false }, { name: 'w1', shape: [3, 2], transposed: true }])
  t.same(graph.notes, [])
})

t.test('weights behind Identity and Transpose', async t => {
  const graph = readOnnx(network(
    [b.node('Identity', ['w'], ['copy']), b.node('Transpose', ['copy'], ['turned'], { perm: [1, 0] }),
      b.node('MatMul', ['x', 'turned'], ['p']), b.node('Reshape', ['bias', 'row'], ['c']),
      b.node('Add', ['p', 'c'], ['y'])],
    [b.floats('w', [3, 2], numbers(6)), b.floats('bias', [3, 1], numbers(3)), b.integers('row', [2], [1, 3])],
  ))
  t.same(names(graph), ['w', 'bias'])
})

t.test('a bias may be a single number, a constant is none', async t => {
  const bias = (dims: number[]): string[] =>
    names(
      readOnnx(
        network([b.node('MatMul', ['x', 'w'], ['p']), b.node('Add', ['p', 'c'], ['y'])], [b.floats('w', [2, 1], [1, 2]),
          b.floats('c', dims, [0.5])]),
      ),
    )
  t.same(bias([1]), ["w'", 'c'], 'added to the product with one output')
  t.same(bias([]), ["w'"], 'a plain number')
  const after = readOnnx(
    network([b.node('MatMul', ['x', 'w'], ['p']), b.node('Tanh', ['p'], ['h']), b.node('Add', ['h', 'c'], ['y'])], [
      b.floats('w', [2, 1], [1, 2]),
      b.floats('c', [1], [0.5]),
    ]),
  )
  t.same(names(after), ["w'"], 'added to anything else')
  t.match(after.notes, [/single numbers .*: 'c'\. The option parameters/], 'which is said: it may be learnt')
})

t.test('what is made of the input before the first weight is no parameter', async t => {
  const graph = readOnnx(network(
    [b.node('Sub', ['x', 'mean'], ['p']), b.node('Div', ['p', 'deviation'], ['q']),
      b.node('Mul', ['q', 'factor'], ['r']), b.node('Add', ['r', 'offset'], ['s']),
      b.node('Gemm', ['s', 'w', 'c'], ['y'])],
    [b.floats('mean', [2], [1, 2]), b.floats('deviation', [2], [1, 2]), b.floats('factor', [2], [1, 2]),
      b.floats('offset', [2], [1, 2]), b.floats('w', [2, 2], numbers(4)), b.floats('c', [1, 2], [1, 2])],
  ))
  t.same(names(graph), ["w'", 'c'])
  t.match(graph.notes, [
    /^Not counted as parameters, because nothing that learns uses them: 'mean', 'deviation', 'factor', 'offset'\./,
  ])
})

t.test('knots at one distance are no parameters, centres at other places are', async t => {
  const centres = (values: number[]): string[] =>
    names(readOnnx(network(
      [b.node('MatMul', ['x', 'w'], ['p']), b.node('Tanh', ['p'], ['h']), b.node('Sub', ['h', 'c'], ['d']),
        b.node('MatMul', ['d', 'v'], ['y'])],
      [b.floats('w', [2, 4], numbers(8)), b.floats('c', [4], values), b.floats('v', [4, 2], numbers(8))],
    )))
  t.same(centres([-1.5, -0.5, 0.5, 1.5]), ["w'", "v'"])
  t.same(centres([-1.5, -0.4, 0.5, 1.5]), ["w'", 'c', "v'"])
})

t.test('statistics, masks, exponents and tables', async t => {
  const graph = readOnnx(network(
    [
      b.node('Gather', ['table', 'words'], ['e'], { axis: 0 }),
      b.node('Add', ['e', 'position'], ['p']),
      b.node('LayerNormalization', ['p', 'scale', 'shift'], ['l']),
      b.node('Transpose', ['l'], ['k'], { perm: [0, 2, 1] }),
      b.node('MatMul', ['l', 'k'], ['s']),
      b.node('Mul', ['s', 'temperature'], ['t']),
      b.node('Add', ['t', 'mask'], ['u']),
      b.node('Softmax', ['u'], ['v']),
      b.node('MatMul', ['v', 'l'], ['a']),
      b.node('PRelu', ['a', 'slope'], ['c']),
      b.node('Mul', ['c', 'gate'], ['d']),
      b.node('Mul', ['d', 'selection'], ['f']),
      b.node('Pow', ['f', 'two'], ['y']),
    ],
    [
      b.floats('table', [5, 2], numbers(10)),
      b.floats('position', [1, 3, 2], numbers(6)),
      b.floats('scale', [2], [1, 1]),
      b.floats('shift', [2], [0, 0]),
      b.floats('temperature', [], [0.5]),
      b.floats('mask', [3, 3], [0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0]),
      b.floats('slope', [1], [0.1]),
      b.floats('gate', [2], [1, 2]),
      b.floats('selection', [2], [1, 0]),
      b.floats('two', [], [2]),
    ],
    [3],
    { inputs: [b.value('words', ['n', 3], b.INT64)], outputs: [b.value('y', ['n', 3, 2])] },
  ))
  t.same(names(graph), ['table', 'position', 'scale', 'shift', 'slope', 'gate'])
  const y = runGraph(graph, new Map([['words', tensor('int64', [1, 3], [0, 1, 2])]]), 'float32').get('y')!
  t.same(y.shape, [1, 3, 2])
})

t.test('running statistics of a normalisation are no parameters', async t => {
  const graph = readOnnx(
    network([b.node('Gemm', ['x', 'w'], ['h']), b.node('BatchNormalization', ['h', 's', 'o', 'm', 'v'], ['y'])], [
      b.floats('w', [2, 2], numbers(4)),
      ...['s', 'o', 'm', 'v'].map(name => b.floats(name, [2], [1, 2])),
    ]),
  )
  t.same(names(graph), ["w'", 's', 'o'])
  t.same(graph.notes, [])
})

t.test('the caller may say which tensors are trainable', async t => {
  const bytes = network([b.node('Mul', ['x', 'factor'], ['r']), b.node('Gemm', ['r', 'w', 'c'], ['y'])], [
    b.floats('factor', [2], [1, 2]),
    b.floats('w', [2, 2], numbers(4)),
    b.floats('c', [2], [1, 2]),
  ])
  t.same(names(readOnnx(bytes, { parameters: ['factor', 'w'] })), ['factor', "w'"])
  t.throws(() => readOnnx(bytes, { parameters: ['facto'] }), { name: 'OptionError', code: 'BAD_OPTION',
    message: /Did you mean 'factor'/ })
})

t.test('integer weights become real ones in their place', async t => {
  const tensors = [
    b.tensor({ name: 'w8', dims: [2, 2], type: b.INT8, int32: [1, 2, 3, 4] }),
    b.floats('s', [2], [0.5, 2]),
    b.tensor({ name: 'z', dims: [2], type: b.INT8, int32: [0, 1] }),
    b.floats('c', [2], [0.2, 1.3]),
    b.floats('cs', [], [0.25]),
    b.tensor({ name: 'cz', dims: [], type: b.UINT8, int32: [10] }),
  ]
  const graph = readOnnx(network([
    b.node('DequantizeLinear', ['w8', 's', 'z'], ['w'], { axis: 0 }),
    b.node('QuantizeLinear', ['c', 'cs', 'cz'], ['cq']),
    b.node('DequantizeLinear', ['cq', 'cs', 'cz'], ['cd']),
    b.node('Gemm', ['x', 'w', 'cd'], ['y'], { transB: 1 }),
  ], tensors))
  t.same(names(graph), ['w', 'cd'])
  t.same(graph.nodes.map(node => node.op), ['Gemm'])
  t.same(Array.from(graph.initializers.get('w')!.data), [0.5, 1, 4, 6])
  t.same(Array.from(graph.initializers.get('cd')!.data), [0.25, 1.25])
  const blocked = readOnnx(
    network([b.node('DequantizeLinear', ['w4', 's'], ['w'], { axis: 1, block_size: 2 }),
      b.node('Gemm', ['x', 'w'], ['y'], { transB: 1 })], [
      b.tensor({ name: 'w4', dims: [2, 4], type: b.INT4, raw: Uint8Array.of(0x21, 0x43, 0xfe, 0x87) }),
      b.floats('s', [2, 2], [1, 10, 100, 1000]),
    ], [4], { opset: 21 }),
  )
  t.same(Array.from(blocked.initializers.get('w')!.data), [1, 2, 30, 40, -200, -100, 7000, -8000])
  t.throws(
    () =>
      readOnnx(
        network([b.node('DequantizeLinear', ['w8', 's'], ['w'], { axis: 5 }), b.node('Gemm', ['x', 'w'], ['y'])],
          tensors),
      ),
    { code: 'BAD_GRAPH', message: /axis 5 does not exist/ },
  )
})

t.test('half-precision weights are held in single precision', async t => {
  const graph = readOnnx(
    network([b.node('Cast', ['w16'], ['w'], { to: 1 }), b.node('Gemm', ['x', 'w'], ['y'], { transB: 1 })], [
      b.tensor({ name: 'w16', dims: [1, 2], type: b.FLOAT16, int32: [0x3c00, 0x4000] }),
    ]),
  )
  t.same(names(graph), ['w16'])
  t.same(graph.initializers.get('w16'), { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, 2) })
  t.same(Array.from(runGraph(graph, new Map([['x', tensor('float32', [1, 2], [3, 4])]]), 'float32').get('y')!.data), [
    11,
  ])
})

t.test('a single-precision input of double-precision weights is taken in double precision', async t => {
  const graph = readOnnx(
    network([b.node('Gemm', ['x', 'w'], ['y'], { transB: 1 })], [
      b.tensor({ name: 'w', dims: [1, 2], type: b.DOUBLE, double: [1, 2] }),
    ]),
  )
  t.equal(graph.inputs[0].dtype, 'float64')
  t.match(graph.notes, [/double precision/])
})

t.test('operators that are not supported stay in the graph', async t => {
  const graph = readOnnx(
    network([b.node('Gemm', ['x', 'w'], ['h']), b.node('Frobnicate', ['h'], ['f'], { size: 3 }),
      b.node('MatMul', ['f', 'v'], ['y'])], [b.floats('w', [2, 2], numbers(4)), b.floats('v', [2, 2], numbers(4))]),
  )
  t.same(graph.nodes.map(node => node.op), ['Gemm', 'Frobnicate', 'MatMul'])
  t.same(names(graph), ["w'", 'v'])
})
