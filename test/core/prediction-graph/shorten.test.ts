import t from 'tap'
import { BATCH, type Graph, type Node } from '../../../core/graph/graph.js'
import { elementTypeOf } from '../../../core/ops/element-types.js'
import { shortened } from '../../../core/prediction-graph/shorten.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'

const node = (op: string, inputs: string[], output: string, attributes: Node['attributes'] = {}): Node => ({ op, inputs,
  outputs: [output], attributes })

function graph(nodes: readonly Node[], constants: Record<string, Tensor>, ...outputs: string[]): Graph {
  return { inputs: [{ name: 'x', dtype: 'float32', shape: [BATCH, 2] }], outputs, nodes, parameters: [], notes: [],
    initializers: new Map(Object.entries(constants)) }
}

const ops = ({ nodes }: Graph): string[] => nodes.map(({ op, inputs, outputs }) => `${op} ${inputs[0]} ${outputs[0]}`)
const cube = tensor('int64', [3], [-1, 1, 2])
const flat = tensor('int64', [2], [-1, 2])

t.test('reshapes there and back, casts up and down, and copies at the end go', async t => {
  const nodes = [node('Relu', ['x'], 'a'), node('Reshape', ['a', 'cube'], 'b'), node('Reshape', ['b', 'flat'], 'c'),
    node('Cast', ['c'], 'd', { to: elementTypeOf('float64') }),
    node('Cast', ['d'], 'e', { to: elementTypeOf('float32') }), node('Neg', ['e'], 'f'), node('Identity', ['f'], 'y')]
  t.same(ops(shortened(graph(nodes, { cube, flat }, 'y'))), ['Relu x a', 'Neg a y'])
})

t.test('what changes numbers, or is a result itself, stays', async t => {
  const integers = [node('Relu', ['x'], 'a'), node('Cast', ['a'], 'b', { to: elementTypeOf('int64') }),
    node('Cast', ['b'], 'y', { to: elementTypeOf('float32') })]
  t.equal(shortened(graph(integers, {}, 'y')).nodes.length, 3, 'integers hold less')
  const both = [node('Relu', ['x'], 'a'), node('Identity', ['a'], 'y'), node('Identity', ['a'], 'z')]
  t.same(shortened(graph(both, {}, 'y', 'z')).outputs, ['y', 'z'])
  t.equal(shortened(graph(both, {}, 'y', 'z')).nodes.length, 2)
  t.same(ops(shortened(graph([node('Identity', ['x'], 'y')], {}, 'y'))), ['Identity x y'], 'an input is no result')
})

t.test('what is computed twice is computed once', async t => {
  const nodes = [node('Relu', ['x'], 'a'), node('Neg', ['a'], 'b'), node('Neg', ['a'], 'c'),
    node('Add', ['b', 'c'], 'y')]
  const short = shortened(graph(nodes, {}, 'y'))
  t.same(short.nodes.map(({ inputs, outputs }) => [inputs, outputs]), [[['x'], ['a']], [['a'], ['b']], [['b', 'b'], [
    'y',
  ]]])
  t.equal(shortened(graph(nodes, {}, 'y', 'c')).nodes.length, 4, 'a result keeps its own')
  t.equal(shortened(graph(nodes, {}, 'y'), new Set(['a', 'b', 'c'])).nodes.length, 4, 'a network its nodes')
})

const up = { to: elementTypeOf('float64') }
const down = { to: elementTypeOf('float32') }

t.test('affine functions of what is not negative are one where no element is negative', async t => {
  const C = tensor('float32', [2, 2], [1, 2, 3, 4])
  const D = tensor('float64', [2, 2], [5, 6, 7, 8])
  const b = tensor('float32', [2], [1, 2])
  const s = tensor('float64', [], [2])
  const nodes = [node('Mul', ['x', 'x'], 'xx'), node('MatMul', ['xx', 'C'], 'm'), node('Add', ['m', 'b'], 'p'),
    node('Cast', ['p'], 'w', up), node('MatMul', ['w', 'D'], 'q'), node('Mul', ['q', 's'], 'r'),
    node('Cast', ['r'], 'y', down)]
  const { nodes: short, initializers } = shortened(graph(nodes, { C, D, b, s }, 'y'))
  t.same(short.map(({ op }) => op), ['Mul', 'Gemm'])
  t.same(short[1].inputs.slice(1).map(name => initializers.get(name)?.data), [Float32Array.of(38, 44, 86, 100),
    Float32Array.of(38, 44)])
  const negative = { C, b, s, D: tensor('float64', [2, 2], [5, -6, 7, 8]) }
  t.same(shortened(graph(nodes, negative, 'y')).nodes.map(({ op }) => op), ['Mul', 'Gemm', 'Cast', 'MatMul', 'Cast'],
    'terms could cancel, for which float64 was chosen')
  const signed = [node('Neg', ['x'], 'xx'), ...nodes.slice(1)]
  t.equal(shortened(graph(signed, { C, D, b, s }, 'y')).nodes.length, 5, 'as they could here')
  const both = shortened(graph(nodes, { C, D, b, s }, 'y', 'p')).nodes
  t.same(both.map(({ op, outputs }) => `${op} ${outputs[0]}`), ['Mul xx', 'Gemm p', 'Gemm y'],
    'a step that is asked for')
})

t.test('two affine functions of one value are one; what the network computes stays', async t => {
  const W = tensor('float32', [1, 2], [1, 2])
  const C = tensor('float32', [2, 1], [3, 4])
  const [b, c] = [tensor('float32', [1], [5]), tensor('float32', [1], [6])]
  const nodes = [node('Gemm', ['x', 'W', 'b'], 'f', { transB: 1 }), node('Cast', ['f'], 'wide', up),
    node('MatMul', ['x', 'C'], 'm'), node('Add', ['m', 'c'], 'change'), node('Cast', ['change'], 'v', up),
    node('Add', ['wide', 'v'], 's'), node('Cast', ['s'], 'y', down)]
  const { nodes: short, initializers } = shortened(graph(nodes, { W, C, b, c }, 'f', 'y'), new Set(['f']))
  t.same(short.map(({ op }) => op), ['Gemm', 'Gemm'])
  t.same(short[0], nodes[0])
  t.same(short[1].inputs.slice(1).map(name => initializers.get(name)?.data), [Float32Array.of(4, 6),
    Float32Array.of(11)])
  const kept = new Set(nodes.flatMap(({ outputs }) => outputs))
  t.same(shortened(graph(nodes, { W, C, b, c }, 'f', 'y'), kept).nodes.map(({ op }) => op), ['Gemm', 'MatMul', 'Add',
    'Add'])
})

t.test('chains that share a large product stay apart, and numbers alone are multiplied', async t => {
  const wide = tensor('float32', [2, 10_000], new Float32Array(20_000).fill(1))
  const s = tensor('float32', [], [2])
  const nodes = [node('MatMul', ['x', 'wide'], 'a'), node('Mul', ['a', 's'], 'u'), node('Mul', ['u', 's'], 'y')]
  t.equal(shortened(graph(nodes, { wide, s }, 'a', 'y')).nodes.length, 2)
  t.equal(shortened(graph(nodes, { wide, s }, 'y')).nodes.length, 1)
  const halves = { s, half: tensor('float32', [], [0.5]) }
  const once = [node('Mul', ['x', 's'], 'a'), node('Mul', ['a', 'half'], 'b'), node('Neg', ['b'], 'y')]
  t.same(ops(shortened(graph(once, halves, 'y'))), ['Neg x y'])
})

t.test('an operator between casts up and down is one of float32', async t => {
  const nodes = [node('Relu', ['x'], 'a'), node('Neg', ['x'], 'b'), node('Cast', ['a'], 'c', up),
    node('Cast', ['b'], 'd', up), node('Add', ['c', 'd'], 'e'), node('Cast', ['e'], 'y', down)]
  t.same(ops(shortened(graph(nodes, {}, 'y'))), ['Relu x a', 'Neg x b', 'Add a y'])
  const longer = [...nodes.slice(0, 4), node('Sub', ['c', 'd'], 'e'), node('Add', ['e', 'd'], 'g'),
    node('Cast', ['g'], 'y', down)]
  t.equal(shortened(graph(longer, {}, 'y')).nodes.length, 7, 'two would be rounded twice')
})
