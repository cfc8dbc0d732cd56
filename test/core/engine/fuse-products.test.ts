/** @file What is done with a matrix product, against loops written out here. */
import t from 'tap'
import { compileGraph, prepareGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { generator } from '../kernels/random-matrix.js'

const random = generator(21)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))
const operators = (graph: Graph): string[] => prepareGraph(graph, 'float64').nodes.map(node => node.op)
const [N, T, IN, OUT] = [3, 5, 20, 24] as const

function run(graph: Graph, x: Tensor): ArrayLike<number> {
  return compileGraph(graph, 'float64').run(new Map([['x', x]])).get(graph.outputs[0]!)!.data
}

/** The rows of x times W. */
function products(x: Tensor, w: Tensor): number[] {
  return Array.from({ length: x.data.length / IN * OUT }, (_, at) => {
    const [row, column] = [Math.floor(at / OUT), at % OUT]
    let sum = 0
    for (let k = 0; k < IN; k++) sum += x.data[row * IN + k]! * w.data[k * OUT + column]!
    return sum
  })
}

function close(test: { ok(value: boolean): boolean, equal(a: unknown, b: unknown): boolean }, actual: ArrayLike<number>,
  expected: readonly number[]): void {
  test.equal(actual.length, expected.length)
  test.ok(expected.every((value, i) => Math.abs(value - actual[i]!) < 1e-12))
}

t.test('a bias, a sum and a rectifier are done with the product, in any order of operands', async t => {
  const [w, bias, more] = [draw(IN, OUT), draw(OUT), draw(IN, OUT)]
  const x = draw(N, T, IN)
  const plain = products(x, w)
  const others = products(x, more)
  for (const parts of [['bias'], ['bias', 'added'], ['added', 'bias'], ['added'], ['bias', 'added', 'relu'], [
    'relu',
  ]]) {
    const b = new GraphBuilder('float64')
    const input = b.input('x', [BATCH, T, IN])
    const other = b.node('MatMul', [input, b.parameter('more', more)])
    let value = b.node('MatMul', [input, b.parameter('w', w)])
    const row = b.parameter('bias', bias)
    for (const part of parts) {
      value = part === 'relu' ? b.node('Relu', [value]) : b.node('Add', part === 'bias' ? [row, value] : [value, other])
    }
    // `other` is an output too, and so never takes part in another chain.
    const graph = b.build([value, other])
    t.same(operators(graph).sort(), ['FusedMatMul', 'MatMul'], parts.join())
    close(t, run(graph, x), plain.map((product, i) => {
      const sum = product + (parts.includes('bias') ? bias.data[i % OUT]! : 0) +
        (parts.includes('added') ? others[i]! : 0)
      return parts.includes('relu') ? Math.max(0, sum) : sum
    }))
  }
})

t.test('a sum of two products goes to one of them', async t => {
  const [w, more] = [draw(IN, OUT), draw(IN, OUT)]
  const b = new GraphBuilder('float64')
  const input = b.input('x', [BATCH, IN])
  const graph = b.build([
    b.node('Relu', [
      b.node('Add', [b.node('MatMul', [input, b.parameter('w', w)]),
        b.node('MatMul', [input, b.parameter('more', more)])]),
    ]),
  ])
  t.same(operators(graph), ['MatMul', 'FusedMatMul'])
  const x = draw(N, IN)
  const others = products(x, more)
  close(t, run(graph, x), products(x, w).map((product, i) => Math.max(0, product + others[i]!)))
})

t.test('Gemm keeps its own bias, and a value that others read stays', async t => {
  const [w, bias] = [draw(OUT, IN), draw(OUT)]
  const b = new GraphBuilder('float64')
  const input = b.input('x', [BATCH, IN])
  const value = b.node('Gemm', [input, b.parameter('w', w), b.parameter('bias', bias)], { transB: 1, alpha: 0.5 })
  const relu = b.node('Relu', [value])
  t.same(operators(b.build([relu])), ['FusedMatMul'])
  t.same(operators(b.build([relu, value])), ['Gemm', 'Relu'])
  const x = draw(N, IN)
  const transposed = float64([IN, OUT],
    Array.from({ length: IN * OUT }, (_, i) => w.data[i % OUT * IN + Math.floor(i / OUT)]!))
  close(t, run(b.build([relu]), x),
    products(x, transposed).map((product, i) => Math.max(0, product / 2 + bias.data[i % OUT]!)))
})

t.test('a row along another axis, a number and a matrix are not taken for a bias', async t => {
  const w = draw(IN, OUT)
  const x = draw(N, T, IN)
  const plain = products(x, w)
  for (const [other, at] of [[draw(T, 1), (i: number) => Math.floor(i / OUT) % T], [draw(1), () => 0], [draw(T, OUT),
    (i: number) => i % (T * OUT)]] as const) {
    const b = new GraphBuilder('float64')
    const value = b.node('MatMul', [b.input('x', [BATCH, T, IN]), b.parameter('w', w)])
    const graph = b.build([b.node('Add', [value, b.parameter('other', other)])])
    t.same(operators(graph), ['MatMul', 'Add'])
    close(t, run(graph, x), plain.map((product, i) => product + other.data[at(i)]!))
  }
})

t.test('numbers and transpositions of the operands go into the product', async t => {
  const b = new GraphBuilder('float64')
  const input = b.input('x', [BATCH, T, IN])
  const left = b.node('Mul', [input, b.constant(float64([1], [0.3]))])
  const right = b.node('Mul', [b.scalar(2), b.node('Transpose', [b.node('Tanh', [input])], { perm: [0, 2, 1] })])
  const graph = b.build([b.node('MatMul', [left, right])])
  t.same(operators(graph), ['Tanh', 'MatMul'])
  const x = draw(N, T, IN)
  close(t, run(graph, x), Array.from({ length: N * T * T }, (_, at) => {
    const [n, i, j] = [Math.floor(at / (T * T)), Math.floor(at / T) % T, at % T]
    let sum = 0
    for (let k = 0; k < IN; k++) sum += x.data[(n * T + i) * IN + k]! * Math.tanh(x.data[(n * T + j) * IN + k]!)
    return 0.6 * sum
  }))
  t.same(operators(b.build([b.node('MatMul', [left, right]), left])), ['Mul', 'Tanh', 'MatMul'],
    'a scaled value that is read elsewhere stays')
})

t.test('x Phi(x) is one node however it is spelled, and only where it is that', async t => {
  const x = draw(N, IN)
  const spelled = (kind: string, root = Math.SQRT2): Graph => {
    const b = new GraphBuilder('float64')
    const input = b.input('x', [BATCH, IN])
    const erf = b.node('Erf', [
      kind === 'times' ? b.node('Mul', [input, b.scalar(1 / root)]) : b.node('Div', [input, b.scalar(root)]),
    ])
    const sum = b.node('Add', kind === 'times' ? [b.scalar(1), erf] : [erf, b.scalar(1)])
    if (kind === 'half first') return b.build([b.node('Mul', [b.node('Mul', [input, b.scalar(0.5)]), sum])])
    return b.build([b.node('Mul', [b.node('Mul', [input, sum]), b.scalar(0.5)])])
  }
  const b = new GraphBuilder('float64')
  const expected = [...run(b.build([b.node('Gelu', [b.input('x', [BATCH, IN])])]), x) as Float64Array]
  for (const kind of ['half last', 'half first', 'times']) {
    t.same(operators(spelled(kind)), ['Gelu'], kind)
    close(t, run(spelled(kind), x), expected)
  }
  t.notOk(operators(spelled('half last', 1.5)).includes('Gelu'))
})
